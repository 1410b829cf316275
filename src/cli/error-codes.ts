/**
 * Every code that an error of `dw` can carry: what it means, what to do, how the command ends, and whether the same command may succeed
 * later. `docs/errors/` is made from here, a page for each. Codes are only ever added: scripts decide by them.
 */
import { localCodes } from './error-codes-local.ts'
import { serverCodes } from './error-codes-server.ts'
import type { ExitName } from './exit-codes.ts'

export type ErrorEntry = {
  /** Whole sentences, as the page of the code says them. */
  cause: string
  fix: string
  exit: ExitName
  /** The same command may succeed later, with nothing changed. */
  isRetryable?: true
}

/** For replies that carry no code: named after their status. */
const statusCodes: Readonly<Record<string, ErrorEntry>> = {
  http_400: {
    cause: 'The server found the request wrong and gave no code for it.',
    fix: 'The message names what is wrong. The options of the command are in its help.',
    exit: 'usage',
  },
  http_401: {
    cause: 'The server wants a key and got none, or one it does not take.',
    fix: 'Store the right key with `dw login URL`, or give it in DW_API_KEY together with DW_SERVER.',
    exit: 'notAllowed',
  },
  http_403: {
    cause: 'The key is known and may not do this.',
    fix: 'Use a key of the tenant that owns the object, or ask who runs the server.',
    exit: 'notAllowed',
  },
  http_404: {
    cause: 'The server has no such object under this key, or no such route.',
    fix: '`dw batches list` and `dw files list` show what there is; `dw config show` tells which server and key are used.',
    exit: 'notFound',
  },
  http_408: {
    cause: 'The server waited too long for the request.',
    fix: 'Run the command again; a slow network needs a smaller file.',
    exit: 'unexpected',
    isRetryable: true,
  },
  http_409: {
    cause: 'The object is in a state that does not allow this.',
    fix: 'Look at it with `dw batches get ID`, then decide.',
    exit: 'unexpected',
  },
  http_413: {
    cause: 'What was sent is larger than the server takes.',
    fix: 'Cut the file with `dw files split`, or raise the limit of the server.',
    exit: 'usage',
  },
  http_429: {
    cause: 'The server allows no more at the moment: a rate limit or a quota.',
    fix: 'Wait, then run the command again. A quota that is used up needs whoever runs the service.',
    exit: 'quota',
    isRetryable: true,
  },
  http_4xx: {
    cause: 'The server refused the request with a status that has no page of its own.',
    fix: 'The message names what is wrong.',
    exit: 'usage',
  },
  http_500: {
    cause: 'The server failed at the request, also when it was asked again.',
    fix: 'Try again later. Whoever runs the server finds the request id in its log.',
    exit: 'unreachable',
    isRetryable: true,
  },
  http_502: {
    cause: 'A proxy in front of the server got no proper answer from it.',
    fix: 'See whether the server runs; then run the command again.',
    exit: 'unreachable',
    isRetryable: true,
  },
  http_503: {
    cause: 'The server is there and cannot work at the moment.',
    fix: 'Try again shortly.',
    exit: 'unreachable',
    isRetryable: true,
  },
  http_504: {
    cause: 'A proxy in front of the server waited too long for its answer.',
    fix: 'Try again; a batch that was being made may exist: `dw batches list` shows it.',
    exit: 'unreachable',
    isRetryable: true,
  },
  http_5xx: {
    cause: 'The server failed with a status that has no page of its own.',
    fix: 'Try again later. Whoever runs the server finds the request id in its log.',
    exit: 'unreachable',
    isRetryable: true,
  },
}

export const errorCodes: Readonly<Record<string, ErrorEntry>> = {
  ...localCodes,
  ...serverCodes,
  ...statusCodes,
}

export type KnownError = ErrorEntry & {
  /** The code whose page it is: that of the status where the code itself is not known. */
  page: string
}

/** What is known of a code. Services have codes of their own: those are told by the status they came with. */
export function knownError(code: string, status: number | null): KnownError {
  const names = status === null ? [code] : [code, `http_${status}`, status >= 500 ? 'http_5xx' : 'http_4xx']
  const page = names.find((name) => Object.hasOwn(errorCodes, name)) ?? 'unexpected'
  // `unexpected` is an entry of its own, so there is always one.
  return { ...(errorCodes[page] as ErrorEntry), page }
}

/** Where a code is explained, within the package. */
export function docsOfError(page: string): string {
  return `docs/errors/${page}.md`
}
