/** What one call shows, that every service has: an API, a key that holds, a version, and a clock. */
import { messageOf } from '../../lib/errors.ts'
import { VERSION } from '../../lib/version.ts'
import { formatDuration } from '../format.ts'
import { type Check, type Finding, failed, ok, skipped, unknown, warned } from './checks.ts'
import { STEP_MS_MAX } from './network-checks.ts'

/** Guess: signatures and deadlines begin to go wrong; an NTP client keeps far below. */
const SKEW_MS_FAIL = 5 * 60_000
const SKEW_MS_WARN = 30_000
/** Guess: a page of models; of more only the beginning is looked at. */
const BODY_BYTES_MAX = 1024 * 1024

export type Probe = {
  baseUrl: string
  key: string | null
  /** Masked, with its origin. */
  keyWords: string
  /** Of the one call; null before it. */
  answer: Answer | null
}

type Answer = {
  status: number
  headers: Headers
  text: string
  /** Their clock minus ours, to the second; null without a date. */
  skewMs: number | null
}

export function answerChecks(probe: Probe): Check[] {
  const answer = (): Answer => {
    if (probe.answer === null) throw new Error('the http check runs first')
    return probe.answer
  }
  return [
    { name: 'http', needs: ['tls'], run: () => checkHttp(probe) },
    { name: 'auth', needs: ['http'], run: () => checkKey(probe, answer()) },
    { name: 'version', needs: ['http'], run: () => checkVersion(answer()) },
    { name: 'clock', needs: ['http'], run: () => checkClock(answer()) },
  ]
}

export function isDw({ answer }: Probe): boolean {
  return answer?.headers.has('dw-version') === true
}

async function checkHttp(probe: Probe): Promise<Finding> {
  const { baseUrl } = probe
  const fix = 'Give the base URL that the service names for OpenAI clients: dw login https://HOST/v1'
  try {
    probe.answer = await ask(probe)
  } catch (thrown) {
    return failed(`no HTTP answer from ${baseUrl}: ${messageOf(thrown)}`, fix)
  }
  const { status, headers, text } = probe.answer
  if (status >= 300 && status < 400) {
    const location = headers.get('location') ?? 'nowhere'
    return failed(
      `${baseUrl} redirects to ${location}, where no key is sent`,
      'If you trust that address: dw login ADDRESS',
    )
  }
  if (text.trimStart().startsWith('<'))
    return failed(`${baseUrl} answers with an HTML page, not as an API`, fix)
  if (status === 404) return failed(`${baseUrl} has no list of models (status 404)`, fix)
  if (status >= 500)
    return failed(
      `${baseUrl} answers with status ${status}`,
      'Look into the log of the server, then run dw doctor again.',
    )
  if (status === 401 || status === 403) return ok(`${baseUrl} answers`)
  if (status === 429) return warned('the service limits the rate of calls', 'Wait a while.')
  return isList(text)
    ? ok(`${baseUrl} answers`)
    : failed(`${baseUrl} answers with status ${status}, but not as an API`, fix)
}

async function ask({ baseUrl, key }: Probe): Promise<Answer> {
  const signal = AbortSignal.timeout(STEP_MS_MAX)
  const headers: Record<string, string> = {
    'user-agent': 'dw',
    ...(key === null ? {} : { authorization: `Bearer ${key}` }),
  }
  const sentAt = Date.now()
  const reply = await fetch(`${baseUrl}/models`, { headers, redirect: 'manual', signal })
  const dateAt = Date.parse(reply.headers.get('date') ?? '')
  return {
    status: reply.status,
    headers: reply.headers,
    // In the middle of the call, as near as can be told.
    skewMs: Number.isNaN(dateAt) ? null : dateAt - (sentAt + Date.now()) / 2,
    text: await beginningOf(reply),
  }
}

async function beginningOf(reply: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of reply.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > BODY_BYTES_MAX) break
  }
  return text
}

function isList(text: string): boolean {
  // One that was cut is known by its beginning.
  if (text.length > BODY_BYTES_MAX) return text.trimStart().startsWith('{')
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null && 'data' in parsed && Array.isArray(parsed.data)
  } catch {
    // Not JSON, so no API.
    return false
  }
}

function checkKey({ baseUrl, key, keyWords }: Probe, { status }: Answer): Finding {
  const fix = `dw login ${baseUrl} --key-stdin < key.txt`
  if (status === 401 || status === 403)
    return key === null
      ? failed('the server wants a key, and there is none for it', fix)
      : failed(`the server refuses the key ${keyWords}`, fix)
  return ok(key === null ? 'no key is needed' : `the key ${keyWords} holds`)
}

function checkVersion({ headers }: Answer): Finding {
  const version = headers.get('dw-version')
  if (version === null) return skipped("no dw server: OpenAI's routes alone are used")
  const isSame = version.split('.')[0] === VERSION.split('.')[0]
  return isSame
    ? ok(`server ${version}, command line ${VERSION}`)
    : warned(
        `server ${version} and command line ${VERSION} differ in their first number`,
        'Install the version of the server: npm install -g dw@VERSION',
      )
}

function checkClock({ skewMs }: Answer): Finding {
  if (skewMs === null) return unknown('the server does not tell its time')
  const words = `the clocks differ by ${formatDuration(Math.abs(skewMs))}: the server is ${skewMs < 0 ? 'behind' : 'ahead'}`
  const fix = 'Set the clock that is wrong, here with: sudo timedatectl set-ntp true'
  if (Math.abs(skewMs) >= SKEW_MS_FAIL) return failed(words, fix)
  return Math.abs(skewMs) >= SKEW_MS_WARN ? warned(words, fix) : ok('the clocks agree')
}
