/**
 * Works through the parts of a run until each has an ended batch: made one after the other, watched together. A service that holds as
 * much work as it takes is waited for; a part that turns out larger than it takes is cut into smaller ones.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { ApiError, isPassing } from '../../client/client.ts'
import type { WireBatch } from '../../contract/wire.ts'
import { formatDuration, formatNumber, oneLine } from '../format.ts'
import { displayFor } from '../progress-choice.ts'
import type { Display } from '../progress-display.ts'
import { cutParts } from '../run/part-plan.ts'
import {
  type InputFacts,
  isWorkLimit,
  limitOf,
  type Refusal,
  type ServiceLimits,
  tightened,
} from '../run/service-limits.ts'
import { readSource } from '../run/source.ts'
import { startWatch, type Watch } from '../watch.ts'
import { getWithin } from './batches-follow.ts'
import { bringUp, type Job } from './run-send.ts'

/** Guess: batches of one run at work at a time; the progress of more says nothing. */
const AT_WORK_MAX = 16
/** Guess: how long a service that holds other work is left alone. */
const FULL_MS_FIRST = 5_000
const FULL_MS_MAX = 5 * 60_000

type Watching = { place: number; id: string; watch: Watch; isAccepted: Promise<void> }

/**
 * @param limits under which the parts were cut
 * @returns the ended batches, in the order of the parts
 * @throws the signal's reason; what kept a part from its batch, or a batch from being watched
 */
export async function workThrough(job: Job, limits: ServiceLimits): Promise<WireBatch[]> {
  const work = createWork(job)
  let bounds = limits
  let fullMs = FULL_MS_FIRST
  try {
    for (;;) {
      const place = work.nextPlace()
      if (place === null && work.atWork() === 0) return work.endedInOrder()
      if (place === null || work.atWork() >= AT_WORK_MAX) {
        await work.oneEnded()
        continue
      }
      const refusal = await work.start(place)
      if (refusal === null) {
        fullMs = FULL_MS_FIRST
        continue
      }
      if (isWorkLimit(refusal)) {
        work.say(fullWords(job, { place, atWork: work.atWork(), waitMs: fullMs }))
        await (work.atWork() > 0 ? work.oneEnded() : delay(fullMs, undefined, { signal: job.context.signal }))
        fullMs = Math.min(FULL_MS_MAX, fullMs * 2)
        continue
      }
      bounds = await cutAgain(job, { place, refusal, bounds, say: work.say })
    }
  } finally {
    work.close()
  }
}

function fullWords(job: Job, facts: { place: number; atWork: number; waitMs: number }): string {
  const { place, atWork, waitMs } = facts
  const part = partWords(job, place)
  const wait = atWork > 0 ? 'when another batch of this run has ended' : `in ${formatDuration(waitMs)}`
  return `The service takes no more work at the moment (token_limit_exceeded): ${part} is tried again ${wait}.`
}

function partWords({ state }: Job, place: number): string {
  return `part ${place + 1} of ${state.parts().length}`
}

type CutOptions = { place: number; refusal: Refusal; bounds: ServiceLimits; say: (words: string) => void }

/** Cuts the part, and those behind it that were not sent, to what the service takes. @returns the limits from now on */
async function cutAgain(job: Job, { place, refusal, bounds, say }: CutOptions): Promise<ServiceLimits> {
  const { state, input, settings } = job
  const part = state.parts()[place]
  const kind = limitOf(refusal)
  if (part === undefined || kind === null) return bounds
  const facts = { lines: part.lines, bytes: part.end - part.start, models: input.models.length }
  const next = tightened(bounds, { kind, refusal, facts })
  for (let other = state.parts().length - 1; other >= place; other -= 1) {
    const one = state.parts()[other]
    if (one === undefined || one.batchId !== null) continue
    const read = (): AsyncIterable<Uint8Array> => readSource(input.source, one)
    state.replace(other, await cutParts(one, { read, limits: next, modelOverride: settings.model }))
  }
  say(
    `The service refuses it (${oneLine(refusal.message)}); it is cut into ${formatNumber(state.parts().length, 'batch', 'batches')}.`,
  )
  return next
}

/** Makes the batches of all parts that have none, and leaves them to themselves. @returns the ids, in the order of the parts */
export async function sendAll(job: Job): Promise<string[]> {
  const { state } = job
  for (const [place, { batchId }] of state.parts().entries())
    if (batchId === null) tellMade(job, { place, id: (await bringUp(job, place)).id })
  return state.parts().flatMap(({ batchId }) => batchId ?? [])
}

/** Whether cutting the part would help. */
function canBeCut(refusal: Refusal, { lines, models }: InputFacts): boolean {
  const kind = limitOf(refusal)
  return kind !== null && (kind === 'models' ? models > 1 : lines > 1)
}

function createWork(job: Job) {
  const { context, state, input } = job
  const ended = new Map<string, WireBatch>()
  const running = new Map<string, Promise<void>>()
  const watches: Watch[] = []
  let display: Display | null = null

  const say = (words: string): void => {
    if (display !== null && context.output.isTerminal) display.say(words)
    else context.output.say(words)
  }
  const factsOf = (place: number): InputFacts => {
    const part = state.parts()[place]
    const models = part?.model === null && job.settings.model === null ? input.models.length : 1
    return { lines: part?.lines ?? 0, bytes: (part?.end ?? 0) - (part?.start ?? 0), models }
  }
  /** Watches a batch from now on. */
  const look = (place: number, id: string): Watching => {
    const accepted = Promise.withResolvers<void>()
    const watch = startWatch([id], {
      getBatch: (batchId, signal) => getWithin(job.client, batchId, signal),
      isPassing,
      signal: context.signal,
      onChange() {
        display?.changed()
        const [batch] = watch.known()
        if (batch !== undefined && batch.status !== 'validating') accepted.resolve()
      },
    })
    watches.push(watch)
    display ??= displayFor(context.output, { views: () => watches.flatMap((one) => one.views()) })
    return { place, id, watch, isAccepted: accepted.promise }
  }
  /** Resolves when the batch has ended. @throws what is known of one that cannot be watched */
  const end = async ({ id, watch }: Watching): Promise<void> => {
    const [watched] = await watch.finished
    running.delete(id)
    if (watched?.kind === 'ended') ended.set(id, watched.batch)
    else if (watched?.kind === 'lost') throw watched.thrown
  }
  return {
    say,
    atWork: () => running.size,
    oneEnded: () => Promise.race(running.values()),
    /** The first part that nothing is known to run of. */
    nextPlace(): number | null {
      const place = state
        .parts()
        .findIndex(({ batchId }) => batchId === null || !(ended.has(batchId) || running.has(batchId)))
      return place === -1 ? null : place
    },
    endedInOrder: () => state.parts().flatMap(({ batchId }) => ended.get(batchId ?? '') ?? []),
    /** Sends a part and waits until its batch is accepted. @returns why it is not, where it can be sent otherwise or later */
    async start(place: number): Promise<Refusal | null> {
      let id = state.parts()[place]?.batchId ?? null
      try {
        if (id === null) {
          // The line of an upload and those of batches would be drawn over one another.
          if (context.output.isTerminal) {
            display?.end()
            display = null
          }
          id = (await bringUp(job, place)).id
          tellMade(job, { place, id })
        }
      } catch (thrown) {
        const refusal = refusalOf(thrown)
        if (refusal === null || !(isWorkLimit(refusal) || canBeCut(refusal, factsOf(place)))) throw thrown
        return refusal
      }
      const watching = look(place, id)
      const over = end(watching)
      running.set(id, over)
      // Whoever waits for it meets it there; after an abort nobody does.
      over.catch(() => undefined)
      await Promise.race([watching.isAccepted, over])
      const batch = watching.watch.known()[0]
      if (batch?.status !== 'failed') return null
      await over
      const refusal = refusalOf(batch)
      if (refusal === null || !(isWorkLimit(refusal) || canBeCut(refusal, factsOf(place)))) return null
      watches.splice(watches.indexOf(watching.watch), 1)
      state.restart(place, { keepsFile: isWorkLimit(refusal) })
      return refusal
    },
    close(): void {
      display?.end()
    },
  }
}

function tellMade(job: Job, { place, id }: { place: number; id: string }): void {
  const { context, input, state } = job
  const lines = state.parts()[place]?.lines ?? 0
  const where = state.parts().length === 1 ? '' : `, ${partWords(job, place)}`
  context.output.say(`${id}  ${oneLine(input.source.name)}${where}, ${formatNumber(lines, 'request')}`)
  const standing = { batch_id: id, status: null, done: 0, total: lines, failed: 0 }
  context.output.event({ event: 'submitted', ...standing, deadline_at: null })
}

/** Why a call or a batch was refused, in the service's words. */
function refusalOf(thrown: unknown): Refusal | null {
  if (thrown instanceof ApiError) {
    const { status, code, message } = thrown
    return status >= 400 && status < 500 ? { status, code, message } : null
  }
  if (!isFailed(thrown)) return null
  const all = thrown.errors?.data ?? []
  const first = all.find(isWorkLimit) ?? all[0]
  return first === undefined ? null : { status: null, code: first.code, message: first.message }
}

function isFailed(value: unknown): value is WireBatch {
  return typeof value === 'object' && value !== null && 'status' in value && value.status === 'failed'
}
