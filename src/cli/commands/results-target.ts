/** Where the results of batches go: files that are gone on with after a cut or a crash, or standard output. */
import { rm } from 'node:fs/promises'
import type { Client } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import type { CommandContext } from '../command.ts'
import { type Download, openDownload } from '../download.ts'
import { contentOf } from '../foreign/content.ts'
import { formatBytes, formatList } from '../format.ts'
import { errorsPathOf, noSink, type Sink } from '../results-sink.ts'
import { extrasOf, standingOf } from '../summary-outcome.ts'

export type TargetSettings = {
  /** Null: standard output. */
  path: string | null
  includeErrors: boolean
  order: 'input' | 'completed'
}

export type ResultsTarget = {
  answers: Sink
  errors: Sink
  errorsPath: string | null
  /** The bytes of a file of one of the batches. To be read in the order of the batches, the answers first. */
  read(fileId: string): AsyncIterable<Uint8Array>
  /** Both files are in their places. */
  commit(): Promise<void>
  /** Keeps what was fetched, to be gone on with, and says so. */
  suspend(): Promise<void>
}

type Parts = { settings: TargetSettings; context: CommandContext; client: Client }

/** A file of a batch that is fetched, and the order that is asked for. */
type Piece = { fileId: string; query: { order?: 'input' } }

export async function openTarget(batches: readonly WireBatch[], parts: Parts): Promise<ResultsTarget> {
  const { settings, context, client } = parts
  const { path, includeErrors } = settings
  const pieces = batches.map((batch) => piecesOf(batch, settings))
  const answers = pieces.flatMap(({ output, error }) => [output, ...(includeErrors ? [error] : [])])
  const errors = includeErrors ? [] : pieces.map(({ error }) => error)
  if (path === null) return streamTarget([...answers, ...errors].filter(isPiece), parts)
  const open = async (at: string, wanted: readonly (Piece | null)[]): Promise<Part> => {
    const found = wanted.filter(isPiece)
    const words = found.map(({ fileId, query }) => `${fileId} ${query.order ?? 'as it is'}`)
    const download = await openDownload(at, { source: client.baseUrl, pieces: words })
    if (download.keptBytes > 0)
      context.output.say(`${at}: going on after ${formatBytes(download.keptBytes)} of an earlier download`)
    return { download, pieces: found }
  }
  const errorsPath = includeErrors ? null : errorsPathOf(path)
  const answersPart = await open(path, answers)
  // An older file of that name belongs to other results.
  const hasErrors = errorsPath !== null && errors.some(isPiece)
  const errorsPart = hasErrors ? await open(errorsPath, errors) : null
  const opened = errorsPart === null ? [answersPart] : [errorsPart, answersPart]
  return {
    answers: answersPart.download,
    // What both share is committed and suspended once.
    errors: errorsPart?.download ?? (includeErrors ? answersPart.download : noSink),
    errorsPath,
    read: (fileId) => readPart(opened, fileId, parts),
    async commit() {
      if (errorsPath !== null && errorsPart === null) await rm(errorsPath, { force: true })
      // The errors first: whoever finds the answers in their place finds all of it.
      for (const { download } of opened) await download.commit()
    },
    async suspend() {
      const kept: string[] = []
      for (const { download } of opened) {
        const part = await download.suspend()
        if (part !== null) kept.push(part)
      }
      if (kept.length > 0)
        context.output.warn(
          `What was fetched is kept in ${formatList(kept)}: the same command goes on from there.`,
        )
    },
  }
}

type Part = { download: Download; pieces: readonly Piece[] }

function readPart(
  opened: readonly Part[],
  fileId: string,
  { context, client }: Parts,
): AsyncIterable<Uint8Array> {
  for (const { download, pieces } of opened) {
    const number = pieces.findIndex((piece) => piece.fileId === fileId)
    const piece = pieces[number]
    if (piece === undefined) continue
    return download.read(number, (fromByte) =>
      contentOf({ client, context }, fileId, { ...piece.query, fromByte }),
    )
  }
  return contentOf({ client, context }, fileId)
}

function streamTarget(pieces: readonly Piece[], { settings, context, client }: Parts): ResultsTarget {
  const answers: Sink = { ...noSink, write: (chunk) => context.output.bytes(chunk) }
  return {
    answers,
    errors: settings.includeErrors ? answers : noSink,
    errorsPath: null,
    read: (fileId) =>
      contentOf({ client, context }, fileId, pieces.find((piece) => piece.fileId === fileId)?.query),
    async commit() {},
    async suspend() {},
  }
}

function isPiece(piece: Piece | null): piece is Piece {
  return piece !== null
}

/** Input order exists only once a batch has ended, and only on our server. */
function piecesOf(
  batch: WireBatch,
  { order }: TargetSettings,
): { output: Piece | null; error: Piece | null } {
  const hasInputOrder = extrasOf(batch) !== null && standingOf(batch).isEnded
  const query = hasInputOrder && order === 'input' ? ({ order: 'input' } as const) : {}
  // The ids are absent where a service leaves out what is null.
  const pieceOf = (fileId: string | null | undefined): Piece | null => (fileId ? { fileId, query } : null)
  return { output: pieceOf(batch.output_file_id), error: pieceOf(batch.error_file_id) }
}
