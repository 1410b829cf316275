/** The parts of one run and how far each has come, written to the journal with every change. */
import { freshPart, type Journal, newRecord, type PartRecord, type RunRecord } from './journal.ts'
import type { Part } from './part-plan.ts'

export type RunState = {
  readonly key: string
  parts(): readonly PartRecord[]
  /** Durable when it returns. */
  change(place: number, change: Partial<PartRecord>): void
  /** As if nothing had been sent for it yet; what was is forgotten, except the upload where it is kept. */
  restart(place: number, options: { keepsFile: boolean }): void
  /** Puts smaller parts in the place of one. */
  replace(place: number, parts: readonly Part[]): void
  /** Its results were read to the end. */
  end(): void
}

export type StateOptions = { key: string; journal: Journal; now: () => number; newKey: () => string }

/** Goes on with a run that the journal knows. */
export function resumeState(record: RunRecord, options: StateOptions): RunState {
  return stateOf({ ...record, pid: process.pid, endedAt: null }, options)
}

/** Begins a new one; the journal knows it when this returns. */
export function startState(parts: readonly Part[], options: StateOptions): RunState {
  const record = newRecord(parts, { now: options.now(), newKey: options.newKey })
  options.journal.write(options.key, record)
  return stateOf(record, options)
}

function stateOf(first: RunRecord, { key, journal, now, newKey }: StateOptions): RunState {
  let record = first
  const save = (change: Partial<RunRecord>): void => {
    record = { ...record, ...change }
    journal.write(key, record)
  }
  const put = (place: number, parts: readonly PartRecord[]): void =>
    save({ parts: record.parts.toSpliced(place, 1, ...parts) })
  return {
    key,
    parts: () => record.parts,
    change(place, change) {
      const part = record.parts[place]
      if (part !== undefined) put(place, [{ ...part, ...change }])
    },
    restart(place, { keepsFile }) {
      const part = record.parts[place]
      if (part === undefined) return
      put(place, [{ ...freshPart(part, newKey), fileId: keepsFile ? part.fileId : null }])
    },
    replace: (place, parts) =>
      put(
        place,
        parts.map((part) => freshPart(part, newKey)),
      ),
    end: () => save({ endedAt: now() }),
  }
}
