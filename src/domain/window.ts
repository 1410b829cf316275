import { RefusedError } from '../lib/errors.ts'

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Reads a window such as `24h`, `90m`, `30s` or `7d`. @returns milliseconds, or null when the text is not a window. */
export function windowMs(text: string): number | null {
  const match = /^([1-9]\d{0,4})([smhd])$/.exec(text)
  if (match === null) return null
  return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS]
}

/** What an operator may set for a window. */
export type WindowPolicy = {
  window: string
  /** At the deadline: end the batch with what is done, or run on and mark it late. */
  atDeadline: 'expire' | 'continue'
}

export const defaultWindows: readonly WindowPolicy[] = [
  { window: '24h', atDeadline: 'expire' },
  { window: '1h', atDeadline: 'expire' },
]

/** @throws RefusedError `invalid_value` naming the windows that this server offers. */
export function requireWindow(
  text: string,
  offered: readonly WindowPolicy[],
): { policy: WindowPolicy; ms: number } {
  const policy = offered.find((candidate) => candidate.window === text)
  const ms = policy === undefined ? null : windowMs(policy.window)
  if (policy === undefined || ms === null) {
    const values = offered.map((candidate) => `'${candidate.window}'`)
    const list =
      values.length > 1 ? `${values.slice(0, -1).join(', ')}, and ${values.at(-1)}` : values.join('')
    throw new RefusedError('invalid_value', `Invalid value: '${text}'. Supported values are: ${list}.`, {
      param: 'completion_window',
    })
  }
  return { policy, ms }
}
