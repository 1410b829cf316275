/** Anything that ends a command, in one shape: what, what to do, and the exit code. */
import { ApiError, UnreachableError } from '../client/errors.ts'
import { messageOf, RefusedError, systemCodeOf, TroubleError } from '../lib/errors.ts'
import { type ExitName, exitCode } from './exit-codes.ts'

export class CliError extends Error {
  readonly code: string
  readonly exit: ExitName
  readonly hint: string | null

  constructor(code: string, message: string, options: { exit: ExitName; hint?: string }) {
    super(message)
    this.name = 'CliError'
    this.code = code
    this.exit = options.exit
    this.hint = options.hint ?? null
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
  if (thrown instanceof ApiError) return apiFacts(thrown)
  if (thrown instanceof UnreachableError) {
    const hint = 'Is the server running? `dw serve` starts one here; --server URL names another.'
    return { ...base, code: 'unreachable', message: thrown.message, hint, exitCode: exitCode('unreachable') }
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
