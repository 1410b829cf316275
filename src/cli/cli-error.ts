/** Anything that ends a command, in one shape: what, what to do, and the exit code. */
import { ApiError, type UnreachableCode, UnreachableError } from '../client/errors.ts'
import { messageOf, RefusedError, systemCodeOf, TroubleError } from '../lib/errors.ts'
import { type ExitName, exitCode } from './exit-codes.ts'

/** A command that leads on: runnable as it stands, without secrets. */
export type NextCommand = { command: string; why: string }

export class CliError extends Error {
  readonly code: string
  readonly exit: ExitName
  readonly hint: string | null
  readonly next: readonly NextCommand[]

  /** @param code stands in error-codes.ts @param options.next commands that lead on; those in backticks within the hint are found by themselves */
  constructor(
    code: string,
    message: string,
    options: { exit: ExitName; hint?: string; next?: readonly NextCommand[] },
  ) {
    super(message)
    this.name = 'CliError'
    this.code = code
    this.exit = options.exit
    this.hint = options.hint ?? null
    this.next = options.next ?? []
  }
}

/** An error about a name that is almost the name of something there is. */
export class NearestError extends Error {
  override readonly cause: unknown
  readonly nearest: string

  constructor(cause: unknown, nearest: string) {
    super(messageOf(cause))
    this.name = 'NearestError'
    this.cause = cause
    this.nearest = nearest
  }
}

export function usageError(message: string, hint?: string): CliError {
  return new CliError('usage', message, hint === undefined ? { exit: 'usage' } : { exit: 'usage', hint })
}

export type ErrorFacts = {
  code: string
  message: string
  hint: string | null
  requestId: string | null
  status: number | null
  exitCode: number
}

/** What a thrown thing says to people and to programs. */
export function errorFacts(thrown: unknown): ErrorFacts {
  const base = { hint: null, requestId: null, status: null }
  if (thrown instanceof CliError)
    return {
      ...base,
      code: thrown.code,
      message: thrown.message,
      hint: thrown.hint,
      exitCode: exitCode(thrown.exit),
    }
  if (thrown instanceof NearestError)
    return { ...errorFacts(thrown.cause), hint: `Did you mean: ${thrown.nearest}` }
  if (thrown instanceof ApiError) return apiFacts(thrown)
  if (thrown instanceof UnreachableError) {
    return {
      ...base,
      code: thrown.code,
      message: thrown.message,
      hint: unreachableHints[thrown.code] ?? null,
      exitCode: exitCode('unreachable'),
    }
  }
  if (thrown instanceof RefusedError)
    return {
      ...base,
      code: thrown.code,
      message: thrown.message,
      exitCode: exitCode(exitOfRefusal(thrown.code)),
    }
  if (thrown instanceof TroubleError)
    return { ...base, code: thrown.code, message: thrown.message, exitCode: exitCode('unexpected') }
  return {
    ...base,
    code: systemCodeOf(thrown) ?? 'unexpected',
    message: messageOf(thrown),
    exitCode: exitCode('unexpected'),
  }
}

const unreachableHints: Partial<Record<UnreachableCode, string>> = {
  unreachable: 'Is the server running? `dw serve` starts one here; --server URL names another.',
  dns_failed: 'Is the address right? `dw config show` tells which one is used, and where it comes from.',
  tls_failed:
    'NODE_EXTRA_CA_CERTS=FILE names a certificate to trust; an address of plain HTTP begins with http://. `dw config show` tells which one is used.',
}

const REFUSED_INPUT: ReadonlySet<string> = new Set(['no_input_files', 'invalid_input'])

function exitOfRefusal(code: string): ExitName {
  return REFUSED_INPUT.has(code) ? 'invalidInput' : 'usage'
}

function apiFacts(error: ApiError): ErrorFacts {
  const exit = exitOfStatus(error)
  const hints: Partial<Record<ExitName, string>> = {
    notAllowed: 'Give a key with DW_API_KEY, or store one with `dw login URL`.',
    notFound: '`dw batches list` and `dw files list` show what there is.',
    quota: 'Try again later.',
  }
  return {
    code: error.code ?? `http_${error.status}`,
    message: error.message,
    hint: hints[exit] ?? null,
    requestId: error.requestId,
    status: error.status,
    exitCode: exitCode(exit),
  }
}

function exitOfStatus({ status }: ApiError): ExitName {
  if (status === 401 || status === 403) return 'notAllowed'
  if (status === 404) return 'notFound'
  if (status === 429) return 'quota'
  if (status >= 500) return 'unreachable'
  return status === 409 ? 'unexpected' : 'usage'
}
