/**
 * Watches batches until all have ended. A server that restarts or is out of reach is asked again, ever more slowly; what was seen before
 * stays on the screen, marked. Nothing here ends because one look failed, except when the server says that there is no such batch.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { WireBatch } from '../contract/wire.ts'
import { messageOf } from '../lib/errors.ts'
import { oneLine } from './format.ts'
import { addSample, emptyTrack, remainingMs, speedOf, type Track } from './progress.ts'
import type { BatchView } from './progress-line.ts'
import { extrasOf, standingOf } from './summary-outcome.ts'

export type WatchOptions = {
  getBatch(id: string, signal: AbortSignal): Promise<WireBatch>
  /** Whether the same question may be answered later: no connection, 5xx, 429. */
  isPassing(thrown: unknown): boolean
  signal: AbortSignal
  /** Something that `views` tells may have changed. */
  onChange(): void
  /** Whether a batch that runs has come as far as is waited for. Absent: only its end counts. */
  isEnough?: (batch: WireBatch) => boolean
  /** Ends the watching of all that have not come out; unlike an abort this is a result. */
  deadline?: AbortSignal
  /** Called once for each batch, as soon as it has come out. */
  onOut?: (watched: Watched) => void
  /** For tests. */
  delayMs?: (facts: DelayFacts) => number
}

export type DelayFacts = { watched: number; looks: number; failures: number }

/** How watching one batch came out. */
export type Watched =
  | { id: string; kind: 'ended'; batch: WireBatch }
  /** It runs on, and is as far as was waited for; or the deadline came first. `batch` is null when it was never seen. */
  | { id: string; kind: 'left'; batch: WireBatch | null; isEnough: boolean }
  /** It cannot be watched, or no longer: `thrown` is what the server or the network said last. */
  | { id: string; kind: 'lost'; thrown: unknown }

export type Watch = {
  /** As known now, in the order of the ids. */
  views(): BatchView[]
  /** What the server said last of each batch it has told of. */
  known(): WireBatch[]
  /** Resolves when every batch has ended or is lost; never later than one look after an abort. @throws the reason of an abort */
  finished: Promise<Watched[]>
}

type Entry = { id: string; batch: WireBatch | null; track: Track; trouble: string | null }

/** Guess: longer than a restart or an upgrade takes; a server that is out of reach for this long needs somebody to look. */
export const OUT_OF_REACH_MS_MAX = 10 * 60_000
/** Guess: quick while a person looks at a short batch, then once a second, and slower for many batches at a time. */
const FIRST_LOOKS = 8
const FIRST_DELAY_MS = 250
const DELAY_MS = 1_000
const DELAY_PER_BATCH_MS = 50
const DELAY_AFTER_FAILURE_MS_MAX = 15_000

/** Guess: hundreds of batches may be watched; a server should not get a question for each at the same moment. */
const LOOKS_AT_ONCE_MAX = 16

/** Lets only so many calls run at once; the others wait their turn. */
function createSeats(count: number): { during<T>(act: () => Promise<T>): Promise<T> } {
  let free = count
  const waiting: (() => void)[] = []
  return {
    async during(act) {
      if (free > 0) free -= 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
      try {
        return await act()
      } finally {
        const next = waiting.shift()
        if (next === undefined) free += 1
        else next()
      }
    },
  }
}

export function startWatch(ids: readonly string[], options: WatchOptions): Watch {
  const entries: Entry[] = [...new Set(ids)].map((id) => ({
    id,
    batch: null,
    track: emptyTrack,
    trouble: null,
  }))
  const seats = createSeats(LOOKS_AT_ONCE_MAX)
  const limited: WatchOptions = {
    ...options,
    getBatch: (id, signal) => seats.during(() => options.getBatch(id, signal)),
  }
  return {
    views: () => entries.map((entry) => viewOf(entry, { now: Date.now(), monotonicMs: performance.now() })),
    known: () => entries.flatMap(({ batch }) => (batch === null ? [] : [batch])),
    finished: Promise.all(
      entries.map(async (entry) => {
        const watched = await watchOne(entry, entries.length, limited)
        options.onOut?.(watched)
        return watched
      }),
    ),
  }
}

async function watchOne(entry: Entry, watched: number, options: WatchOptions): Promise<Watched> {
  const { signal, deadline, delayMs = usualDelayMs } = options
  const stop = deadline === undefined ? signal : AbortSignal.any([signal, deadline])
  let failures = 0
  let troubledSince: number | null = null
  for (let looks = 1; ; looks += 1) {
    signal.throwIfAborted()
    try {
      const batch = await options.getBatch(entry.id, stop)
      failures = 0
      troubledSince = null
      note(entry, batch)
      options.onChange()
      if (standingOf(batch).isEnded) return { id: entry.id, kind: 'ended', batch }
      if (options.isEnough?.(batch) === true) return { id: entry.id, kind: 'left', batch, isEnough: true }
    } catch (thrown) {
      signal.throwIfAborted()
      if (stop.aborted) break
      failures += 1
      troubledSince ??= performance.now()
      entry.trouble = troubleText(thrown)
      options.onChange()
      const isOver = performance.now() - troubledSince > OUT_OF_REACH_MS_MAX
      if (isOver || !options.isPassing(thrown)) return { id: entry.id, kind: 'lost', thrown }
    }
    await delay(delayMs({ watched, looks, failures }), undefined, { signal: stop }).catch(() => undefined)
    signal.throwIfAborted()
    if (stop.aborted) break
  }
  return { id: entry.id, kind: 'left', batch: entry.batch, isEnough: false }
}

function note(entry: Entry, batch: WireBatch): void {
  const { succeeded, failed, status } = standingOf(batch)
  entry.batch = batch
  entry.trouble = null
  if (status === 'validating') return
  // The type says what our server sends; others leave the usage out.
  const usage = batch.usage as WireBatch['usage'] | undefined | null
  entry.track = addSample(entry.track, {
    at: performance.now(),
    done: succeeded + failed,
    tokens: usage?.total_tokens ?? null,
  })
}

function troubleText(thrown: unknown): string {
  return `${oneLine(messageOf(thrown)).replace(/\.$/, '')}; asking again`
}

/** A delay with some chance in it, so that many watchers do not ask in step. */
function usualDelayMs({ watched, looks, failures }: DelayFacts): number {
  const usualMs = Math.max(looks <= FIRST_LOOKS ? FIRST_DELAY_MS : DELAY_MS, watched * DELAY_PER_BATCH_MS)
  const ms =
    failures === 0 ? usualMs : Math.min(DELAY_AFTER_FAILURE_MS_MAX, 500 * 2 ** Math.min(failures, 10))
  return ms * (0.75 + Math.random() / 2)
}

function viewOf(entry: Entry, time: { now: number; monotonicMs: number }): BatchView {
  const { batch, id, trouble } = entry
  if (batch === null) {
    const nothing = { requestsPerSecond: null, tokensPerSecond: null, etaMs: null, dueMs: null, reason: null }
    return { id, status: null, total: 0, completed: 0, failed: 0, isEnded: false, trouble, ...nothing }
  }
  const extras = extrasOf(batch)
  const { status, total, succeeded, failed, isEnded } = standingOf(batch)
  const speed = speedOf(entry.track, time.monotonicMs)
  const linesPerSecond = extras?.requests_per_second ?? speed.linesPerSecond
  const lastAt = entry.track.samples.at(-1)?.at ?? time.monotonicMs
  const leftMs = remainingMs({ done: succeeded + failed, total }, linesPerSecond)
  const ownEtaMs = leftMs === null ? null : Math.max(0, leftMs - (time.monotonicMs - lastAt))
  const theirEtaMs = isNumber(extras?.eta_at) ? Math.max(0, extras.eta_at * 1_000 - time.now) : null
  // Figures of a server that is out of reach are old, and a speed that is old is wrong.
  const isRunning = status === 'in_progress' && trouble === null
  return {
    id,
    status,
    total,
    completed: succeeded,
    failed,
    isEnded,
    requestsPerSecond: isRunning ? linesPerSecond : null,
    tokensPerSecond: isRunning ? (extras?.tokens_per_second ?? speed.tokensPerSecond) : null,
    etaMs: isRunning ? (theirEtaMs ?? ownEtaMs) : null,
    dueMs: isNumber(batch.expires_at) ? batch.expires_at * 1_000 - time.now : null,
    reason: extras?.state_reason ?? null,
    trouble: isEnded ? null : trouble,
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}
