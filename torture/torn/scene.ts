/** The files of a result log as a crash finds them, made once: every harm is done to a copy of one file. */
import { SEGMENT_HEADER_BYTES } from '../../src/results/disk/log-format.ts'
import { recover } from '../../src/results/disk/recovery.ts'
import { entriesOf, layout, line, Run } from '../../test/kit/log-scenario.ts'
import { createSimulatedDisk, type Entries } from '../../test/kit/simulated-disk.ts'

/** Two batches behind a checkpoint and in the log, one in the log alone, and one with a single line at its end. */
export const batches = [1, 2, 3, 4]

export type FileKind = 'log' | 'records' | 'lines' | 'checkpoint'

/** A part of a file that is harmed. */
export type Target = {
  name: string
  kind: FileKind
  path: string
  /** The batch whose own file it is; null for those of the log. */
  seq: number | null
  start: number
  end: number
  /** From here on nothing of the file was synced, or the log has it too: harm there must be made good. */
  syncedBytes: number
}

export type Scene = { entries: Entries; run: Run; targets: readonly Target[] }

export function buildScene(): Scene {
  const disk = createSimulatedDisk()
  const { log } = recover(disk, layout)
  const run = new Run(log)
  const append = (from: number, to: number, seqs: readonly number[]): void => {
    for (let index = from; index < to; index += 2)
      run.append(seqs.flatMap((seq) => [line(seq, index), line(seq, index + 1)]))
  }
  append(0, 12, [1, 2])
  log.checkpoint()
  const checkpointed = entriesOf(disk)
  append(12, 16, [1, 2, 3])
  // Some of the lines behind the checkpoint stand in the batches' own files as well, others in the log alone.
  for (const seq of batches) log.files.flush(seq)
  append(16, 24, [1, 2, 3])
  run.append([line(1, 24), line(4, 0), line(2, 24)])
  const [segment = ''] = disk.list(layout.log).filter((name) => layout.segmentNumber(name) !== null)
  const path = `${layout.log}/${segment}`
  const syncedBytes = sizeOf(entriesOf(disk), path)
  // One more write that a crash kept from its sync: nobody was told of its lines.
  const acknowledged = run.durable.length
  append(26, 28, batches)
  run.durable.splice(acknowledged)
  const entries = entriesOf(disk)
  return { entries, run, targets: [...logTargets(), ...ownTargets(entries, checkpointed)] }

  function logTargets(): Target[] {
    const end = sizeOf(entries, path)
    const log = { kind: 'log', path, seq: null, syncedBytes } as const
    const body = { ...log, name: 'log body', start: SEGMENT_HEADER_BYTES, end: syncedBytes }
    const checkpointBytes = sizeOf(entries, layout.checkpoint)
    return [
      { ...log, name: 'log header', start: 0, end: SEGMENT_HEADER_BYTES },
      // The body is where most can be torn.
      body,
      body,
      body,
      { ...log, name: 'log tail', start: syncedBytes, end },
      {
        name: 'checkpoint',
        kind: 'checkpoint',
        path: layout.checkpoint,
        seq: null,
        start: 0,
        end: checkpointBytes,
        syncedBytes: checkpointBytes,
      },
    ]
  }
}

/** Of each batch's own files the part behind the checkpoint's word and the part in front of it. */
function ownTargets(entries: Entries, checkpointed: Entries): Target[] {
  return batches.flatMap((seq) =>
    (['records', 'output', 'error'] as const).flatMap((part): Target[] => {
      const path = part === 'records' ? layout.records(seq) : layout.lines(seq, part)
      const end = sizeOf(entries, path)
      const syncedBytes = sizeOf(checkpointed, path)
      const kind = part === 'records' ? 'records' : 'lines'
      const name = part === 'records' ? part : `${part} lines`
      const own = { kind, path, seq, syncedBytes } as const
      return [
        { ...own, name, start: 0, end: syncedBytes },
        { ...own, name: `${name} behind the checkpoint`, start: syncedBytes, end },
      ].filter((target) => target.end > target.start)
    }),
  )
}

export function bytesOf(entries: Entries, path: string): Buffer | null {
  const entry = entries.get(path)
  return entry === undefined || entry === 'folder' ? null : entry.bytes
}

function sizeOf(entries: Entries, path: string): number {
  return bytesOf(entries, path)?.byteLength ?? 0
}
