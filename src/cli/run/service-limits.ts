/** What a service takes as one batch: known beforehand, told by options, or learnt from a refusal. Pure. */
import { SERVICE_BYTES_MAX, SERVICE_LINES_MAX } from '../../domain/limits.ts'
import { OPENAI_URL } from '../target.ts'

export type ServiceLimits = {
  linesMax: number | null
  bytesMax: number | null
  /** One model in a batch. */
  isByModel: boolean
}

export type InputFacts = { lines: number; bytes: number; models: number }

export const noLimits: ServiceLimits = { linesMax: null, bytesMax: null, isByModel: false }

/** @param serverUrl may be no URL, where a server is started for the run */
export function usualLimits(serverUrl: string): ServiceLimits {
  const host = URL.parse(serverUrl)?.host
  if (host !== new URL(OPENAI_URL).host) return noLimits
  return { linesMax: SERVICE_LINES_MAX, bytesMax: SERVICE_BYTES_MAX, isByModel: true }
}

export function exceeds({ lines, bytes, models }: InputFacts, limits: ServiceLimits): boolean {
  return (
    lines > (limits.linesMax ?? Infinity) ||
    bytes > (limits.bytesMax ?? Infinity) ||
    (limits.isByModel && models > 1)
  )
}

/** As a refused call or a failed batch tells it. */
export type Refusal = { status: number | null; code: string | null; message: string }

export type LimitKind = 'lines' | 'bytes' | 'models'

/** Which limit the words of a service are about; null when they are about something else. */
export function limitOf({ status, code, message }: Refusal): LimitKind | null {
  if (code === 'mismatched_model' || /single model/i.test(message)) return 'models'
  if (
    /too many (requests|tasks|lines)|(more than|exceed|maximum|up to)\b.{0,40}\b(requests|lines|tasks)\b/i.test(
      message,
    )
  )
    return status === 429 ? null : 'lines'
  if (status === 413 || /too large|file size|exceeds?\b.{0,40}\b([kmg]i?b|bytes|size)\b/i.test(message))
    return 'bytes'
  return null
}

/** Limits under which the same input is not refused again for the same reason. A number that the service names is taken at its word. */
export function tightened(
  limits: ServiceLimits,
  { kind, refusal, facts }: { kind: LimitKind; refusal: Refusal; facts: InputFacts },
): ServiceLimits {
  switch (kind) {
    case 'models':
      return { ...limits, isByModel: true }
    case 'lines': {
      const told = /\b(\d[\d,_]*)\s+(?:requests|lines|tasks)\b/i.exec(refusal.message)?.[1]
      const known = told === undefined ? SERVICE_LINES_MAX : Number(told.replaceAll(/[,_]/g, ''))
      return { ...limits, linesMax: below(facts.lines, known) }
    }
    case 'bytes':
      return { ...limits, bytesMax: below(facts.bytes, SERVICE_BYTES_MAX) }
  }
}

/** Less than what was refused in any case. */
function below(refused: number, known: number): number {
  return known >= 1 && known < refused ? known : Math.max(1, Math.floor(refused / 2))
}

/** The service holds as much work of this caller as it takes; it takes more when some of it is done. */
export function isWorkLimit({ code }: Pick<Refusal, 'code'>): boolean {
  return code === 'token_limit_exceeded'
}
