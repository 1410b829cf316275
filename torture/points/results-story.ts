/**
 * Answers of three batches through the result log, with checkpoints in between: one batch ends early and its output is deleted, the
 * others go on to their end. What was acknowledged lies where it lay, byte for byte, and every line is there once.
 */
import { hasBit } from '../../src/lib/bitmap.ts'
import { makeDurableFolder } from '../../src/lib/disk.ts'
import { TroubleError } from '../../src/lib/errors.ts'
import { BALLAST_BYTES } from '../../src/results/disk/commit-log.ts'
import { requireKnownFormats } from '../../src/results/disk/format-check.ts'
import { layoutOf } from '../../src/results/disk/layout.ts'
import { type LogState, openBatch, removeFile, retain } from '../../src/results/disk/log-steps.ts'
import { recover } from '../../src/results/disk/recovery.ts'
import type { ResultFileKind } from '../../src/results/result-log.ts'
import { encodeChunk, type Line, line } from '../../test/kit/log-scenario.ts'
import type { SimulatedDisk } from '../../test/kit/simulated-disk.ts'
import { DATA_FOLDER, readWhole, type Story, type Telling } from './story.ts'

const layout = layoutOf(`${DATA_FOLDER}/results`)
const KINDS: readonly ResultFileKind[] = ['output', 'error']

/** Lines of each batch, and how many of them one append takes. */
type Shape = readonly { seq: number; lines: number; perAppend: number }[]

type Placed = Line & { position: number }
type Facts = {
  acknowledged: Placed[]
  /** Batches whose row says that they have ended. */
  ended: Set<number>
  /** Files whose deletion was begun, and acknowledged, as `seq kind`. */
  deleting: Set<string>
  deleted: Set<string>
}

/** The batch whose output is deleted when it has ended, while the others go on. */
const DELETED_SEQ = 2
const DELETED_FILE = `${DELETED_SEQ} output`

type Parts = { shape: Shape; acknowledgesEarly: boolean; wrap: (disk: SimulatedDisk) => SimulatedDisk }

export const resultsStory: Story = {
  name: 'results',
  bytesFree: 0,
  begin: ({ acknowledgesEarly }) =>
    tell(noFacts(), {
      shape: [
        { seq: 1, lines: 24, perAppend: 4 },
        { seq: DELETED_SEQ, lines: 6, perAppend: 2 },
        { seq: 3, lines: 6, perAppend: 1 },
      ],
      acknowledgesEarly,
      wrap: (disk) => disk,
    }),
}

/** The disk is full until the ballast is given up. */
export const ballastStory: Story = {
  name: 'full disk',
  bytesFree: 3 * BALLAST_BYTES,
  begin: ({ acknowledgesEarly }) =>
    tell(noFacts(), {
      shape: [{ seq: 1, lines: 6, perAppend: 3 }],
      acknowledgesEarly,
      wrap: (disk) => ({
        ...disk,
        write(file, bytes, offset) {
          if (disk.pathOf(file).startsWith(layout.log) && offset > 0 && disk.exists(layout.ballast))
            throw new TroubleError('disk_full', 'no space left')
          // Nobody reads the ballast: one byte for each block of it keeps the story quick.
          const isBallast = disk.pathOf(file) === layout.ballast
          disk.write(file, isBallast ? bytes.subarray(0, 1) : bytes, isBallast ? 0 : offset)
        },
      }),
    }),
}

function noFacts(): Facts {
  return { acknowledged: [], ended: new Set(), deleting: new Set(), deleted: new Set() }
}

function tell(facts: Facts, parts: Parts): Telling {
  return {
    start: async (disk) => begin(parts.wrap(disk), facts, parts).wrong,
    finish: async (disk) => work(parts.wrap(disk), facts, parts),
    copy: () => tell(structuredClone(facts), parts),
  }
}

type Begun = {
  state: LogState
  recorded: Map<number, Uint8Array>
  sizes: Map<string, number>
  wrong: string[]
}

/** What a start of the server does with the result log, and what it finds. */
function begin(disk: SimulatedDisk, facts: Facts, { shape }: Parts): Begun {
  makeDurableFolder(disk, DATA_FOLDER)
  requireKnownFormats(disk, layout.folder)
  const state: LogState = { disk, layout, recovered: recover(disk, layout) }
  const live = shape.filter(({ seq }) => !facts.ended.has(seq))
  const sealed = retain(state, new Set(live.map(({ seq }) => seq)))
  const wrong: string[] = []
  const recorded = new Map<number, Uint8Array>()
  const sizes = new Map<string, number>()
  for (const { seq, lines } of live) {
    const opened = openBatch(state, { seq, linesTotal: lines })
    recorded.set(seq, opened.recorded)
    sizes.set(`${seq} output`, opened.tally.outputBytes).set(`${seq} error`, opened.tally.errorBytes)
    for (const kind of KINDS) {
      const bytes = readWhole(disk, layout.lines(seq, kind))?.byteLength ?? 0
      if (bytes !== sizes.get(`${seq} ${kind}`))
        wrong.push(`${kind} of batch ${seq} has ${bytes} bytes, not those of its records`)
    }
  }
  for (const { seq, lines } of shape) wrong.push(...wrongLines(disk, facts, { seq, lines, recorded }))
  for (const seq of sealed) state.recovered.log.seal(seq)
  if (sealed.length > 0) state.recovered.log.checkpoint()
  return { state, recorded, sizes, wrong }
}

function wrongLines(
  disk: SimulatedDisk,
  facts: Facts,
  batch: { seq: number; lines: number; recorded: ReadonlyMap<number, Uint8Array> },
): string[] {
  const { seq } = batch
  const wrong: string[] = []
  const recorded = batch.recorded.get(seq)
  for (const kind of KINDS) {
    const name = `${kind} of batch ${seq}`
    const bytes = readWhole(disk, layout.lines(seq, kind))
    if (facts.deleting.has(`${seq} ${kind}`)) {
      if (bytes !== null && facts.deleted.has(`${seq} ${kind}`))
        wrong.push(`${name} was deleted and is there`)
      continue
    }
    for (const { lineIndex, isOutput, position, text } of facts.acknowledged.filter(
      (one) => one.seq === seq,
    )) {
      if (isOutput !== (kind === 'output')) continue
      const found = bytes?.toString('utf8', position, position + Buffer.byteLength(text) + 1)
      if (found !== `${text}\n`)
        wrong.push(
          `line ${lineIndex} of batch ${seq} was acknowledged and is not where it was in the ${name}`,
        )
      if (recorded !== undefined && !hasBit(recorded, lineIndex))
        wrong.push(`line ${lineIndex} of batch ${seq} was acknowledged and has no record`)
    }
    wrong.push(...madeUp(bytes?.toString() ?? '', { ...batch, kind, recorded, name }))
  }
  return wrong
}

/** @returns lines that nobody gave, that stand twice, or that have no record */
function madeUp(
  text: string,
  file: { seq: number; lines: number; kind: ResultFileKind; recorded: Uint8Array | undefined; name: string },
): string[] {
  const left = new Map(
    linesOf(file)
      .filter(({ isOutput }) => isOutput === (file.kind === 'output'))
      .map((one) => [one.text, one.lineIndex]),
  )
  return text
    .split('\n')
    .slice(0, -1)
    .flatMap((found) => {
      const lineIndex = left.get(found)
      if (lineIndex === undefined) return [`made up or doubled in the ${file.name}: ${found}`]
      left.delete(found)
      const hasRecord = file.recorded === undefined || hasBit(file.recorded, lineIndex)
      return hasRecord ? [] : [`line ${lineIndex} in the ${file.name} has no record`]
    })
}

function linesOf(batch: { seq: number; lines: number }): Line[] {
  return Array.from({ length: batch.lines }, (_, lineIndex) => line(batch.seq, lineIndex))
}

/** The rest of the answers, the ends of the batches, the deletion, and the orderly stop. */
function work(disk: SimulatedDisk, facts: Facts, parts: Parts): string[] {
  const { state, recorded, sizes, wrong } = begin(disk, facts, parts)
  const { log } = state.recovered
  const live = parts.shape.filter(({ seq }) => recorded.has(seq))
  const left = new Map(
    live.map((batch) => [
      batch.seq,
      linesOf(batch).filter(
        ({ lineIndex }) => !hasBit(recorded.get(batch.seq) ?? new Uint8Array(), lineIndex),
      ),
    ]),
  )
  for (let round = 0; [...left.values()].some((lines) => lines.length > 0); round += 1) {
    append(live.flatMap(({ seq, perAppend }) => left.get(seq)?.splice(0, perAppend) ?? []))
    if (round === 1) log.files.flush(1)
    // Goes on between the appends of the next rounds.
    if (round === 1 || round === 4) log.beginCheckpoint()
    log.continueCheckpoint()
    // The early end of one batch while the others go on.
    if (left.get(DELETED_SEQ)?.length === 0) endAndDelete()
  }
  endAndDelete()
  for (const { seq } of live) end(seq)
  for (const { seq } of live) log.seal(seq)
  log.checkpoint()
  log.close()
  return [...wrong, ...unfinished(disk, facts, parts.shape)]

  function append(lines: readonly Line[]): void {
    const placed: Placed[] = []
    const chunk = encodeChunk(lines, (one, bytes) => {
      const key = `${one.seq} ${one.isOutput ? 'output' : 'error'}`
      const position = sizes.get(key) ?? 0
      sizes.set(key, position + bytes)
      placed.push({ ...one, position })
      return position
    })
    if (parts.acknowledgesEarly) facts.acknowledged.push(...placed)
    log.append(chunk)
    if (!parts.acknowledgesEarly) facts.acknowledged.push(...placed)
  }
  function end(seq: number): void {
    if (facts.ended.has(seq)) return
    log.files.flush(seq)
    // Only what was acknowledged or recovered is in the batch: all of its lines by now.
    facts.ended.add(seq)
  }
  function endAndDelete(): void {
    if (!parts.shape.some(({ seq }) => seq === DELETED_SEQ) || facts.deleted.has(DELETED_FILE)) return
    end(DELETED_SEQ)
    facts.deleting.add(DELETED_FILE)
    log.seal(DELETED_SEQ)
    log.checkpoint()
    removeFile(state, { seq: DELETED_SEQ, kind: 'output' })
    facts.deleted.add(DELETED_FILE)
  }
}

/** @returns lines that are not there once, at the end */
function unfinished(disk: SimulatedDisk, facts: Facts, shape: Shape): string[] {
  return shape.flatMap((batch) =>
    KINDS.flatMap((kind) => {
      if (facts.deleted.has(`${batch.seq} ${kind}`)) return []
      const wanted = linesOf(batch).filter(({ isOutput }) => isOutput === (kind === 'output'))
      const found = (readWhole(disk, layout.lines(batch.seq, kind))?.toString() ?? '')
        .split('\n')
        .slice(0, -1)
      return found.toSorted().join('\n') ===
        wanted
          .map(({ text }) => text)
          .toSorted()
          .join('\n')
        ? []
        : [`${kind} of batch ${batch.seq} has ${found.length} lines at the end, not its ${wanted.length}`]
    }),
  )
}
