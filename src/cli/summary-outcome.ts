/** How a batch stands and ended, decided from its counts: a batch with any failure never reads as plain success. Pure. */

import type { WireBatch, WireBatchExtras } from '../contract/wire.ts'
import { type BatchStatus, isEnded } from '../domain/batch.ts'
import { type ExitName, exitCode } from './exit-codes.ts'
import { formatCount } from './format.ts'

/** Of a batch as any server tells it: what only ours has may be absent. */
export type Standing = {
  status: string
  isEnded: boolean
  total: number
  succeeded: number
  failed: number
  /** Lines that the deadline or a cancel left without an answer. */
  unanswered: number
  /** Lines of an ended batch that nobody accounts for. */
  missing: number
}

/** Only our server sends these; null elsewhere. */
export function extrasOf(batch: WireBatch): WireBatchExtras | null {
  // The type says what our server sends; others leave the member out.
  return (batch.dw as WireBatchExtras | undefined) ?? null
}

export function standingOf(batch: WireBatch): Standing {
  // The type says what our server sends; OpenAI's leaves the counts out of some batches.
  const counts = batch.request_counts as WireBatch['request_counts'] | undefined | null
  const total = counts?.total ?? 0
  const succeeded = counts?.completed ?? 0
  const failed = counts?.failed ?? 0
  const hasEnded = isEndedStatus(batch.status)
  const rest = Math.max(0, total - succeeded - failed)
  const isCut = batch.status === 'expired' || batch.status === 'cancelled'
  return {
    status: batch.status,
    isEnded: hasEnded,
    total,
    succeeded,
    failed,
    unanswered: hasEnded && isCut ? rest : 0,
    missing: hasEnded && !isCut ? rest : 0,
  }
}

/** A state that we do not know is one that goes on. */
export function isEndedStatus(status: string): boolean {
  const known: readonly string[] = [
    'validating',
    'in_progress',
    'finalizing',
    'completed',
    'failed',
    'expired',
    'cancelling',
    'cancelled',
  ]
  // The list holds exactly the states of the domain.
  return known.includes(status) && isEnded(status as BatchStatus)
}

/** The state as people read it: `completed, 42 failed`. The wire's word alone only when there is nothing to add. */
export function stateWords(batch: WireBatch): string {
  const { status, total, failed, unanswered, missing } = standingOf(batch)
  const words = [status]
  if (failed > 0)
    words.push(failed === total ? `all ${formatCount(failed)} failed` : `${formatCount(failed)} failed`)
  if (unanswered > 0) words.push(`${formatCount(unanswered)} not run`)
  if (missing > 0) words.push(`${formatCount(missing)} missing`)
  return words.join(', ')
}

/** How many failed requests of a batch are no reason for a failing exit code. */
export type Allowance = { kind: 'count'; count: number } | { kind: 'percent'; percent: number }

/** @returns null when the text is neither `N` nor `P%` */
export function parseAllowance(text: string): Allowance | null {
  if (/^\d{1,12}$/.test(text)) return { kind: 'count', count: Number(text) }
  const percent = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text)?.[1]
  return percent === undefined || Number(percent) > 100 ? null : { kind: 'percent', percent: Number(percent) }
}

function isAllowed(failed: number, total: number, allowance: Allowance | null): boolean {
  if (failed === 0) return true
  if (allowance === null) return false
  return allowance.kind === 'count' ? failed <= allowance.count : failed * 100 <= allowance.percent * total
}

/** What one batch makes of the exit code. Missing lines are never allowed. */
export function exitCodeOf(standing: Standing, allowance: Allowance | null): number {
  if (!standing.isEnded) return exitCode('stillRunning')
  if (standing.status !== 'completed') return exitCode('notCompleted')
  if (standing.missing > 0 || !isAllowed(standing.failed, standing.total, allowance))
    return exitCode('failures')
  return exitCode('ok')
}

/**
 * Required for several ids: the first that applies of 1, 9, 7, 8, 3, 0. What kept a command from asking at all stands before 9, and an
 * interruption before all: nothing was learnt of the rest.
 */
export const precedence: readonly ExitName[] = [
  'interrupted',
  'unexpected',
  'usage',
  'notAllowed',
  'notFound',
  'invalidInput',
  'quota',
  'unreachable',
  'notCompleted',
  'stillRunning',
  'failures',
]

export function firstThatApplies(codes: readonly number[]): number {
  const name = precedence.find((candidate) => codes.includes(exitCode(candidate)))
  return exitCode(name ?? 'ok')
}
