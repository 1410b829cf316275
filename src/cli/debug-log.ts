/**
 * The log of one command: what it asked over HTTP, and how that went. It never holds keys, and no bodies unless those were asked for.
 * A log that cannot be written ends nothing: it is missing, and the command says so.
 */
import { closeSync, fchmodSync, openSync, writeSync } from 'node:fs'
import { messageOf } from '../lib/errors.ts'
import { usageError } from './cli-error.ts'
import { oneLine } from './format.ts'
import { printable } from './printable.ts'
import type { LogLevel } from './speech.ts'

export type Log = {
  /** Told on standard error, not in a file, nor left out: what is on the screen needs no second telling. */
  isOnScreen(level: LogLevel): boolean
  write(level: LogLevel, words: string): void
  /** The same `fetch`, with each exchange in the log. */
  watched(fetch: typeof globalThis.fetch): typeof globalThis.fetch
  end(): void
}

export type LogOptions = {
  level: LogLevel | null
  /** Null: standard error. */
  path: string | null
  hasBodies: boolean
}

const ranks: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 }
const FILE_MODE = 0o600
/** Guess: enough of a body to know it by. */
const BODY_BYTES_SHOWN = 4_096
/** Headers that say something and are no secret. Of the others only the names are told. */
const shownHeaders: ReadonlySet<string> = new Set([
  'content-type',
  'idempotency-key',
  'range',
  'retry-after',
  'user-agent',
])

/** @throws CliError usage when the file cannot be written */
export function createLog({ level, path, hasBodies }: LogOptions): Log {
  if (level === null) return { isOnScreen: () => false, write() {}, watched: (fetch) => fetch, end() {} }
  let sink = path === null ? stderrSink : fileSink(path)
  const write = (of: LogLevel, words: string): void => {
    if (ranks[of] > ranks[level]) return
    try {
      sink.write(`${new Date().toISOString()} ${of.padEnd(5)} ${oneLine(withoutSecrets(words))}\n`)
    } catch (thrown) {
      process.stderr.write(`the log goes on here, because ${path} cannot be written: ${messageOf(thrown)}\n`)
      sink = stderrSink
    }
  }
  return {
    isOnScreen: (of) => path === null && ranks[of] <= ranks[level],
    write,
    watched: (fetch) => (level === 'debug' ? watchedFetch(fetch, { write, hasBodies }) : fetch),
    end: () => sink.end(),
  }
}

type Sink = { write(line: string): void; end(): void }

const stderrSink: Sink = { write: (line) => void process.stderr.write(printable(line)), end() {} }

function fileSink(path: string): Sink {
  try {
    const file = openSync(path, 'a', FILE_MODE)
    // One that was there may have wider rights.
    fchmodSync(file, FILE_MODE)
    return { write: (line) => void writeSync(file, line), end: () => closeSync(file) }
  } catch (thrown) {
    throw usageError(`DW_LOG_FILE ${path} cannot be written: ${messageOf(thrown)}`)
  }
}

type Watch = { write: (level: LogLevel, words: string) => void; hasBodies: boolean }

function watchedFetch(fetch: typeof globalThis.fetch, { write, hasBodies }: Watch): typeof globalThis.fetch {
  return async (input, init) => {
    const startedAt = performance.now()
    const headers = new Headers(init?.headers)
    const token = headers.get('authorization')?.replace(/^Bearer /, '') ?? null
    const what = `${init?.method ?? 'GET'} ${shownUrl(input instanceof Request ? input.url : String(input))}`
    const tell = (words: string): void =>
      write('debug', token === null || token === '' ? words : words.replaceAll(token, '***'))
    const tellBody = (name: string, text: string): void => {
      if (text !== '') tell(`${what} ${name} ${text}`)
    }
    const sent = hasBodies ? watchedBody(init, (text) => tellBody('sent', text)) : init
    const ms = (): string => `${Math.round(performance.now() - startedAt)} ms`
    try {
      const reply = await fetch(input, sent)
      const requestId = reply.headers.get('x-request-id') ?? 'none'
      tell(
        `${what} ${reply.status} ${ms()} request id ${requestId} ${headerWords(headers)} -> ${headerWords(reply.headers)}`,
      )
      if (hasBodies && reply.body !== null)
        void firstText(reply.clone().body).then((text) => tellBody('got', text))
      return reply
    } catch (thrown) {
      const cause =
        thrown instanceof Error && thrown.cause instanceof Error ? `: ${thrown.cause.message}` : ''
      tell(`${what} failed after ${ms()}: ${messageOf(thrown)}${cause}`)
      throw thrown
    }
  }
}

/** The request with a body that is looked at on its way. */
function watchedBody(init: RequestInit | undefined, tell: (text: string) => void): RequestInit | undefined {
  const body = init?.body
  if (typeof body === 'string') tell(body.slice(0, BODY_BYTES_SHOWN))
  if (!(body instanceof ReadableStream)) return init
  const [kept, looked] = body.tee()
  void firstText(looked).then(tell)
  return { ...init, body: kept }
}

/** The beginning of a body; the rest is not kept for this reader. */
async function firstText(body: ReadableStream<Uint8Array> | null): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const part of body ?? []) {
      parts.push(part)
      bytes += part.byteLength
      if (bytes >= BODY_BYTES_SHOWN) break
    }
  } catch {
    // The body broke: whoever reads it for real is told. What came until then is shown.
  }
  const text = Buffer.concat(parts).subarray(0, BODY_BYTES_SHOWN).toString('utf8')
  return bytes > BODY_BYTES_SHOWN ? `${text} …` : text
}

function headerWords(headers: Headers): string {
  const words = [...headers].map(([name, value]) => (shownHeaders.has(name) ? `${name}=${value}` : name))
  return `[${words.join(' ')}]`
}

const SECRET_NAME = /key|token|secret|password|signature|credential|auth/i

/** Without a name and password, and without values of the query that are secrets by their name. */
function shownUrl(text: string): string {
  if (!URL.canParse(text)) return text
  const url = new URL(text)
  url.username = ''
  url.password = ''
  for (const name of [...url.searchParams.keys()])
    if (SECRET_NAME.test(name)) url.searchParams.set(name, '***')
  return url.href
}

/** What looks like a key, wherever it stands. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/\b(Bearer|Basic)\s+[^\s"',)]+/gi, '$1 ***')
    .replaceAll(/(?:\b|(?<=%[0-9A-F]{2}))(?:sk-|pk-|dw_|whsec_)[\w-]{12,}/g, '***')
    .replaceAll(/("[\w-]*(?:key|token|secret|password)"\s*:\s*)"(?:[^"\\]|\\.)*"/gi, '$1"***"')
}
