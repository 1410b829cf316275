/** Makes a line ready to be sent: adds what is missing, sets what is asked for, and leaves every other byte as it is. */
import type { Endpoint } from '../../domain/batch.ts'
import { LINE_BYTES_MAX } from '../../domain/limits.ts'
import { RefusedError } from '../../lib/errors.ts'
import { createFindingList, type FindingList } from '../finding-list.ts'
import { isObject, type JsonObject } from '../prompt-bytes.ts'
import { quote } from '../request-rules.ts'
import type { Desk } from './desk.ts'
import { applyEdits, type Edit, editOf } from './edits.ts'
import { createIdLedger } from './id-ledger.ts'
import { encodeImages, type LoadImage } from './images.ts'
import type { Line } from './lines.ts'
import { customIdOf, lineTooLong, type ParsedLine, parseLine } from './parse-line.ts'
import { findPath, setPath, utf8Of } from './splice.ts'

export type PrepareOptions = {
  edits: readonly Edit[]
  /** Output tokens of a request, under the name that its endpoint uses. */
  maxTokens: number | null
  /** Of lines without a url; null: it follows from their body. */
  endpoint: Endpoint | null
  /** New ids for all lines: this and the number of the line. */
  idPrefix: string | null
  /** Lines whose id this accepts are left out. */
  isRemoved: (customId: string) => boolean
  /** null: images stay as they are. */
  loadImage: LoadImage | null
}

export type PrepareTotals = {
  lines: number
  written: number
  changed: number
  removed: number
  imagesEncoded: number
  findings: FindingList
}

/** Guess: findings that are kept; the total counts all. */
const FINDINGS_HELD_MAX = 1_000
const NEWLINE = '\n'

/**
 * @param write takes whole lines; those with a finding are left out
 * @throws TroubleError, and what `write` throws
 */
export async function prepareLines(
  batches: AsyncIterable<readonly Line[]>,
  options: PrepareOptions & { desk: Desk; write: (bytes: Uint8Array) => Promise<void> },
): Promise<PrepareTotals> {
  const findings = createFindingList(FINDINGS_HELD_MAX)
  const totals: PrepareTotals = { lines: 0, written: 0, changed: 0, removed: 0, imagesEncoded: 0, findings }
  const ledger = createIdLedger(options.desk)
  try {
    for await (const batch of batches) {
      for (const line of batch) {
        totals.lines += 1
        const prepared = await prepareLine(line, options, totals)
        if (prepared === null) continue
        ledger.add(prepared.customId, line.lineNumber)
        totals.written += 1
        if (prepared.isChanged) totals.changed += 1
        await options.write(prepared.bytes)
      }
    }
    ledger.report(({ id, number, firstNumber }) => {
      const message = `The custom_id ${quote(id)} is the one of line ${firstNumber}. New ids: --number-ids PREFIX`
      findings.add({ code: 'duplicate_custom_id', message, param: 'custom_id', lineNumber: number })
    })
    return totals
  } finally {
    ledger.close()
  }
}

type PreparedLine = { bytes: Buffer; customId: string; isChanged: boolean }

async function prepareLine(
  line: Line,
  options: PrepareOptions,
  totals: PrepareTotals,
): Promise<PreparedLine | null> {
  const report = ({ code, message }: { code: string; message: string }): void =>
    totals.findings.add({ code, message, param: null, lineNumber: line.lineNumber })
  const parsed = parseLine(line, report)
  if (parsed === null) return null
  const { custom_id } = parsed.value
  if (typeof custom_id === 'string' && options.isRemoved(custom_id)) {
    totals.removed += 1
    return null
  }
  try {
    let text = prepareText(parsed, line.lineNumber, options)
    const idToken = findPath(text, ['custom_id'])
    const id: unknown = idToken === null ? null : JSON.parse(utf8Of(text.slice(idToken.start, idToken.end)))
    const customId = customIdOf({ custom_id: id }, report)
    if (customId === null) return null
    if (options.loadImage !== null) {
      const images = await encodeImages(text, options.loadImage)
      text = images.text
      totals.imagesEncoded += images.encoded
    }
    if (text.length > LINE_BYTES_MAX) {
      report(lineTooLong(text.length))
      return null
    }
    const isChanged = text !== parsed.text
    return { bytes: Buffer.from(text + NEWLINE, 'latin1'), customId, isChanged }
  } catch (thrown) {
    if (!(thrown instanceof RefusedError)) throw thrown
    report(thrown)
    return null
  }
}

/** @returns the line's text, as Latin-1 @throws RefusedError with what is wrong with the line */
export function prepareText(
  parsed: ParsedLine,
  lineNumber: number,
  options: Pick<PrepareOptions, 'edits' | 'maxTokens' | 'endpoint' | 'idPrefix'>,
): string {
  let text = addMissing(parsed, lineNumber, options.endpoint)
  if (options.idPrefix !== null)
    text = applyEdits(text, [editOf(['custom_id'], `${options.idPrefix}${lineNumber}`)])
  text = applyEdits(text, options.edits)
  if (options.maxTokens === null) return text
  return setPath(text, ['body', limitName(parsed.value)], String(options.maxTokens))
}

/** A line that is nothing but a body becomes a request. */
function addMissing({ text, value }: ParsedLine, lineNumber: number, endpoint: Endpoint | null): string {
  const isBare = value.body === undefined && isBody(value)
  const body = isBare ? value : value.body
  if (body === undefined || body === null)
    throw refused('missing_required_parameter', "Missing required parameter: 'body'.")
  if (!isObject(body)) throw refused('invalid_type', "Invalid type for 'body': expected an object.")
  const request = isBare ? { custom_id: value.custom_id, method: value.method, url: value.url } : value
  const missing: string[] = []
  let filled = text
  const fill = (name: string, token: () => string): void => {
    // A null stands where the value belongs; absent ones go in front, in the order people write them.
    if (request[name] === undefined) missing.push(`"${name}":${token()}`)
    else if (request[name] === null || request[name] === '') filled = setPath(filled, [name], token())
  }
  if (typeof value.custom_id === 'number' && !isBare) filled = quoteId(filled)
  fill('custom_id', () => JSON.stringify(`line-${lineNumber}`))
  fill('method', () => '"POST"')
  fill('url', () => JSON.stringify(endpoint ?? endpointOf(body)))
  if (isBare) return `{${missing.join(',')},"body":${filled.trim()}}`
  if (missing.length === 0) return filled
  // There is a body, so there is a member to stand in front of.
  const start = filled.indexOf('{') + 1
  return `${filled.slice(0, start)}${missing.join(',')},${filled.slice(start)}`
}

function isBody(value: JsonObject): boolean {
  const isSent = value.custom_id !== undefined || value.method !== undefined || value.url !== undefined
  return !isSent && ['messages', 'prompt', 'input'].some((name) => value[name] !== undefined)
}

/** An id that is a number keeps its digits. */
function quoteId(text: string): string {
  const token = findPath(text, ['custom_id'])
  return token === null ? text : setPath(text, ['custom_id'], `"${text.slice(token.start, token.end)}"`)
}

function endpointOf(body: JsonObject): Endpoint {
  if (body.messages !== undefined) return '/v1/chat/completions'
  if (body.prompt !== undefined && body.input === undefined) return '/v1/completions'
  throw refused(
    'url_unknown',
    'This line has no url, and several endpoints take its body. Name it: --endpoint URL',
  )
}

function limitName({ url, body }: JsonObject): string {
  if (isObject(body)) {
    const stated = ['max_completion_tokens', 'max_output_tokens', 'max_tokens'].find(
      (name) => body[name] !== undefined,
    )
    if (stated !== undefined) return stated
  }
  return url === '/v1/responses' ? 'max_output_tokens' : 'max_tokens'
}

/** @param text a part of an id, or a whole id with `*` for anything */
export function idMatcher(text: string): (customId: string) => boolean {
  if (!text.includes('*')) return (customId) => customId.includes(text)
  const parts = text.split('*').map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, '\\$&'))
  const pattern = new RegExp(`^${parts.join('.*')}$`, 's')
  return (customId) => pattern.test(customId)
}

function refused(code: string, message: string): RefusedError {
  return new RefusedError(code, message)
}
