/** What most likely helps against a failure, by its code or else by its status. Pure. */
import type { Failure } from '../domain/failure.ts'

const RETRY = 'The line itself is fine: retry it.'
const MEND = 'The engine refuses the request as it is: mend it and submit it anew; a retry alone fails again.'
const TIME = `The engine took too long. ${RETRY} Shorter answers or fewer requests at a time help.`
const ENGINE = `The engine failed. Look at its log, then retry.`
const KEY =
  'The server may not use the engine: its key is wrong or lacks a right. Mend it with `dw upstream add`, then retry.'
const QUOTA = 'The account at the engine has no credit left: add some, then retry.'
const MODEL =
  'Nobody serves the model: `dw models list` shows what there is. Mend the requests or add an engine.'

const byCode: readonly { codes: RegExp; fix: string }[] = [
  {
    codes: /^batch_expired$/,
    fix: 'The deadline came before they ran: retry them, with a longer window if there is one.',
  },
  { codes: /^batch_cancelled$/, fix: 'They were cancelled with their batch: retry them if they are wanted.' },
  {
    codes: /context_length|string_above_max_length|too_long|max_tokens/,
    fix: 'The request is too long for the model: shorten the prompt, ask for fewer output tokens, or take a model with a longer context.',
  },
  {
    codes: /content_(filter|policy)|safety|moderation/,
    fix: 'The engine refuses this content: reword the requests; a retry alone fails again.',
  },
  { codes: /model_not_found|unknown_model/, fix: MODEL },
  { codes: /insufficient_quota|billing|credit/, fix: QUOTA },
  { codes: /invalid_api_key|authentication|permission/, fix: KEY },
  {
    codes: /rate_limit|overloaded|slow_down/,
    fix: 'The engine had too much to do. Retry; fewer requests at a time help.',
  },
  { codes: /timeout|timed_out/, fix: TIME },
  {
    codes: /^not_a_json_object$/,
    fix: 'The engine answered with something that is no JSON. Is its address right? Then retry.',
  },
  { codes: /^upstream_|server_error|internal|unavailable/, fix: ENGINE },
]

const byStatus: Readonly<Record<number, string>> = {
  401: KEY,
  402: QUOTA,
  403: KEY,
  404: 'The engine knows no such model or route: check the model and the endpoint of the requests.',
  408: TIME,
  409: RETRY,
  413: 'The request is larger than the engine takes: make it smaller.',
  429: 'The engine had too much to do. Retry; fewer requests at a time help.',
  499: RETRY,
  504: TIME,
}

/** @returns null where nothing is known */
export function likelyFix({ status, code }: Pick<Failure, 'status' | 'code'>): string | null {
  const known = byCode.find(({ codes }) => code !== null && codes.test(code.toLowerCase()))
  if (known !== undefined) return known.fix
  if (status === null) return null
  return byStatus[status] ?? (status >= 500 ? ENGINE : status >= 400 ? MEND : null)
}
