/**
 * What a client knows for certain about a server: what it was promised (every 2xx), what it has seen, and what became of it.
 * Each look at the server is checked against all looks before it. Pure bookkeeping: it calls nobody.
 */

import type { WireBatch } from '../../src/contract/wire.ts'
import { type BatchStatus, batchMoves, isEnded } from '../../src/domain/batch.ts'
import { lineHash } from '../../src/domain/ids.ts'
import { parseLines } from '../../test/kit/requests.ts'

/** Reports a broken promise. */
export type Violate = (promise: string, detail: string) => void

export type KnownFile = { text: string; ids: readonly string[] }

/** A batch that was acknowledged, or found to exist after its creation was never answered. */
export class KnownBatch {
  readonly id: string
  readonly file: KnownFile
  last: WireBatch | null = null
  /** The longest that was read of each result file. */
  readonly read = { output: '', errors: '' }
  /** Result files whose deletion was acknowledged. */
  readonly deleted = new Set<string>()
  /** Keys of the lines that were read or, at the end, counted: none of them may be asked for again. */
  readonly durableKeys = new Set<string>()
  /** A cancel that was acknowledged. */
  isCancelAcked = false
  readonly #violate: Violate

  constructor(id: string, file: KnownFile, violate: Violate) {
    this.id = id
    this.file = file
    this.#violate = violate
  }

  /** Custom ids of the lines that a retry runs again, as read. */
  get failedIds(): string[] {
    return parseLines(this.read.errors)
      .filter(({ error }) => error?.code !== 'batch_cancelled')
      .map((line) => line.custom_id)
  }

  get isEnded(): boolean {
    return this.last !== null && isEnded(this.last.status)
  }

  /** Any view of the batch by any route. */
  see(now: WireBatch): void {
    const before = this.last
    this.last = now
    const where = `${this.id} ${before?.status ?? 'new'} → ${now.status}`
    if (before !== null) {
      if (!canReach(before.status, now.status)) this.#violate('states move forward only', where)
      if (isEnded(before.status) && factsOf(before) !== factsOf(now))
        this.#violate('a terminal state never changes', `${where}: ${factsOf(before)} became ${factsOf(now)}`)
      for (const field of timeFields)
        if (before[field] !== null && before[field] !== now[field])
          this.#violate('a timestamp never changes', `${where}: ${field} ${before[field]} → ${now[field]}`)
      for (const field of ['completed', 'failed'] as const)
        if (now.request_counts[field] < before.request_counts[field])
          this.#violate(
            'counts never shrink',
            `${where}: ${field} ${before.request_counts[field]} → ${now.request_counts[field]}`,
          )
    }
    if (this.isCancelAcked && !['cancelling', 'cancelled'].includes(now.status))
      this.#violate('an accepted cancel stays', where)
    this.#checkTimes(now)
  }

  #checkTimes(now: WireBatch): void {
    const ended = now.completed_at ?? now.failed_at ?? now.expired_at ?? now.cancelled_at
    const known = [now.created_at, now.in_progress_at, now.cancelling_at ?? now.finalizing_at, ended].filter(
      (at) => at !== null,
    )
    if (known.some((at, index) => index > 0 && at < (known[index - 1] ?? 0)))
      this.#violate('timestamps never run backwards', `${this.id}: ${known.join(' > ')}`)
  }

  /** The whole content of one of its result files, as read just now. */
  seeContent(kind: 'output' | 'errors', text: string): void {
    const before = this.read[kind]
    if (!text.startsWith(before)) {
      this.#violate(
        'what a reader has read stays',
        `${this.id} ${kind}: ${before.length} characters read before are not there`,
      )
      return
    }
    if (text !== '' && !text.endsWith('\n'))
      this.#violate('a line is read whole or not at all', `${this.id} ${kind}`)
    this.read[kind] = text
    for (const line of parseLines(text)) this.durableKeys.add(line.id.replace('batch_req_', ''))
  }

  /** Everything that must hold once it has ended and both files were read. @returns whether all of it held */
  checkEnd(batch: WireBatch, answerOf: (key: string) => string | undefined): boolean {
    const problems: string[] = []
    const [output, errors] = [parseLines(this.read.output), parseLines(this.read.errors)]
    const { total, completed, failed } = batch.request_counts
    const hasRun = batch.in_progress_at !== null
    const expected = hasRun ? this.file.ids.length : 0
    if (batch.status === 'failed') problems.push('failed, though its input is valid')
    if (total !== expected) problems.push(`total ${total}, sent ${expected}`)
    if (batch.status === 'completed' && completed + failed !== total)
      problems.push(`completed ${completed} + failed ${failed} ≠ ${total}`)
    if (completed !== output.length && this.deleted.size === 0)
      problems.push(`${completed} completed, ${output.length} output lines`)
    const unanswered = errors.filter(
      ({ error }) => error?.code === 'batch_cancelled' || error?.code === 'batch_expired',
    )
    if (batch.status === 'completed' && unanswered.length > 0)
      problems.push('completed with unanswered lines')
    if (failed !== errors.length - unanswered.length && this.deleted.size === 0)
      problems.push(`${failed} failed, ${errors.length} error lines`)
    if (this.deleted.size === 0) problems.push(...this.#checkLines([...output, ...errors], expected))
    for (const line of output) {
      const key = line.id.replace('batch_req_', '')
      if (contentOf(line) !== answerOf(key))
        problems.push(`${line.custom_id} has an answer that was given to another line`)
    }
    for (const problem of problems.slice(0, 3))
      this.#violate('each line ends once, with its own answer', `${this.id} (${batch.status}): ${problem}`)
    return problems.length === 0
  }

  #checkLines(lines: readonly { id: string; custom_id: string }[], expected: number): string[] {
    const problems: string[] = []
    const indexes = new Map(this.file.ids.map((id, index) => [id, index]))
    const seen = new Set<string>()
    for (const line of lines) {
      const index = indexes.get(line.custom_id)
      if (index === undefined) problems.push(`${line.custom_id} was never sent`)
      else if (line.id !== `batch_req_${lineHash(this.id, index)}`)
        problems.push(`${line.custom_id} has the id of another line`)
      if (seen.has(line.custom_id)) problems.push(`${line.custom_id} stands there twice`)
      seen.add(line.custom_id)
    }
    if (seen.size !== expected) problems.push(`${expected - seen.size} lines have no end`)
    return problems
  }
}

const timeFields = [
  'created_at',
  'in_progress_at',
  'finalizing_at',
  'completed_at',
  'failed_at',
  'expired_at',
  'cancelling_at',
  'cancelled_at',
  'expires_at',
] as const

/** Whether one state can follow another, with any number of moves between the two looks. */
function canReach(from: BatchStatus, to: BatchStatus): boolean {
  return from === to || batchMoves[from].some((next) => canReach(next, to))
}

function factsOf(batch: WireBatch): string {
  return JSON.stringify([batch.status, batch.request_counts, batch.dw.counts])
}

function contentOf(line: { response: { body: Record<string, unknown> } | null }): string | undefined {
  // The scripted upstream answers in this shape alone.
  const body = line.response?.body as { choices?: { message: { content: string } }[] } | undefined
  return body?.choices?.[0]?.message.content
}
