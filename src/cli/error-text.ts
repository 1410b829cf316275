/** What `dw help errors` and `dw help CODE` print; the pages in docs/errors/ say the same. */
import { docsOfError, type ErrorEntry, errorCodes } from './error-codes.ts'
import { exitCodes } from './exit-codes.ts'

const PAD = 32

export function errorListText(): string {
  const lines = Object.entries(errorCodes)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([code, { cause }]) => `  ${code.padEnd(PAD)}${cause}`)
  return ['Errors', '', 'What to do about one: dw help CODE', '', ...lines].join('\n')
}

/** Null where there is no such code. */
export function errorText(code: string): string | null {
  const entry = Object.hasOwn(errorCodes, code) ? errorCodes[code] : undefined
  if (entry === undefined) return null
  const { cause, fix, exit } = entry
  const { code: number, says } = exitCodes[exit]
  return [
    `error[${code}]`,
    '',
    ...['What happened:', `  ${cause}`],
    ...['What to do:', `  ${fix}`],
    ...['Again?', `  ${againWords(entry)}`],
    ...['Exit code:', `  ${number}: ${says}`],
    '',
    `Docs: ${docsOfError(code)}`,
  ].join('\n')
}

export function againWords({ isRetryable }: ErrorEntry): string {
  return isRetryable === true
    ? 'Yes: the same command may succeed later. With --json `retryable` is true.'
    : 'No: something has to change first. With --json `retryable` is false.'
}
