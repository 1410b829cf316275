/**
 * Reads a multipart form as it comes (RFC 7578): parts one after the other, a file in the pieces in which the network brings it.
 * Nothing is held but the headers of a part, a field's value, and what may be the beginning of a boundary.
 */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { FORM_FIELD_BYTES_MAX, FORM_HEADER_BYTES_MAX, FORM_PARTS_MAX } from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'

/** @param name null: whatever else a part has, it may come without one */
export type FormPart =
  | { kind: 'field'; name: string | null; value: string }
  /** To be read before the next part is asked for; what is left of it then is passed over. */
  | { kind: 'file'; name: string | null; filename: string; chunks: AsyncIterable<Buffer> }

/** What of a request is read. */
export type FormRequest = Pick<IncomingMessage, 'headers'> & Pick<Readable, 'iterator' | 'resume'>

const CRLF = Buffer.from('\r\n')
const HEADERS_END = Buffer.from('\r\n\r\n')
const LAST = Buffer.from('--')
const CARRIAGE_RETURN = 13
/** A parameter of a part's headers: in quotes, or bare. */
const NAME = /;[ \t]*name=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))/i
const FILENAME = /;[ \t]*filename=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))/i

/**
 * The parts in the order they come. What is left of the body when the caller leaves early is passed over.
 * @throws RefusedError `invalid_form`: no form, cut off, or beyond a limit
 */
export async function* readForm(request: FormRequest): AsyncGenerator<FormPart, undefined> {
  const boundary = boundaryOf(request.headers['content-type'] ?? '')
  if (boundary === null) throw malformed()
  const body = new FormBody(request, boundary)
  try {
    await body.skipPart()
    for (let count = 1; await body.hasPart(); count += 1) {
      if (count > FORM_PARTS_MAX)
        throw invalidForm('The form has too many parts. Send one file with its purpose.')
      const { name, filename } = await body.readHeaders()
      if (filename === null) yield { kind: 'field', name, value: await body.readValue() }
      else {
        yield { kind: 'file', name, filename, chunks: body.chunks() }
        await body.skipPart()
      }
    }
  } finally {
    await body.letGo()
    // What nobody wants any more is read all the same: many clients look for the answer only once they have sent everything.
    request.resume()
  }
}

class FormBody {
  readonly #source: AsyncIterator<Buffer>
  /** What ends each part. A line break before the first one belongs to it, too. */
  readonly #delimiter: Buffer
  /** Taken from the source and not yet given out. */
  #held: Buffer = CRLF
  /** False: the part that is being read has ended. */
  #isInPart = true

  constructor(request: FormRequest, boundary: string) {
    // The request outlives its form: whoever answers needs the connection.
    this.#source = request.iterator({ destroyOnReturn: false })
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  }

  /** The bytes of this part up to its delimiter, which is taken as well. */
  async *chunks(): AsyncGenerator<Buffer, undefined> {
    while (this.#isInPart) {
      const end = this.#held.indexOf(this.#delimiter)
      const count = end === -1 ? this.#held.byteLength - this.#heldBack() : end
      const chunk = this.#held.subarray(0, count)
      this.#held = this.#held.subarray(end === -1 ? count : end + this.#delimiter.byteLength)
      if (end !== -1) this.#isInPart = false
      if (chunk.byteLength > 0) yield chunk
      if (end === -1) await this.#more()
    }
  }

  async skipPart(): Promise<void> {
    for await (const _ of this.chunks());
  }

  async readValue(): Promise<string> {
    const pieces: Buffer[] = []
    let bytes = 0
    for await (const chunk of this.chunks()) {
      bytes += chunk.byteLength
      if (bytes > FORM_FIELD_BYTES_MAX)
        throw invalidForm(`A field of the form has more than ${FORM_FIELD_BYTES_MAX} bytes.`)
      pieces.push(chunk)
    }
    return Buffer.concat(pieces).toString()
  }

  /** Behind a delimiter: whether another part follows it. */
  async hasPart(): Promise<boolean> {
    while (this.#held.byteLength < LAST.byteLength) await this.#more()
    this.#isInPart = !this.#held.subarray(0, LAST.byteLength).equals(LAST)
    return this.#isInPart
  }

  async readHeaders(): Promise<{ name: string | null; filename: string | null }> {
    for (;;) {
      const end = this.#held.indexOf(HEADERS_END)
      if (end > FORM_HEADER_BYTES_MAX || (end === -1 && this.#held.byteLength > FORM_HEADER_BYTES_MAX))
        throw invalidForm(`The headers of a part of the form have more than ${FORM_HEADER_BYTES_MAX} bytes.`)
      if (end === -1) {
        await this.#more()
        continue
      }
      const text = this.#held.toString('utf8', 0, end)
      // The line break before the content may be the first two bytes of the next delimiter.
      this.#held = this.#held.subarray(end + CRLF.byteLength)
      const disposition = /^content-disposition:[ \t]*form-data(;.*)?$/im.exec(text)?.[1] ?? ''
      this.#held = this.#held.subarray(CRLF.byteLength)
      return { name: parameterOf(disposition, NAME), filename: fileNameOf(disposition) }
    }
  }

  /** Nothing more is taken; the request itself goes on. */
  async letGo(): Promise<void> {
    await this.#source.return?.()
  }

  /** Bytes at the end that may be the beginning of the delimiter, of which only the first byte is a carriage return. */
  #heldBack(): number {
    const at = this.#held.lastIndexOf(CARRIAGE_RETURN)
    const count = this.#held.byteLength - at
    const isBeginning =
      at !== -1 &&
      count < this.#delimiter.byteLength &&
      this.#held.subarray(at).equals(this.#delimiter.subarray(0, count))
    return isBeginning ? count : 0
  }

  async #more(): Promise<void> {
    const next = await this.#source.next().catch(() => ({ done: true }) as const)
    if (next.done === true) throw malformed()
    this.#held = this.#held.byteLength === 0 ? next.value : Buffer.concat([this.#held, next.value])
  }
}

/** @returns null when it is no form, or one without a boundary of 1 to 70 characters */
function boundaryOf(contentType: string): string | null {
  if (!isForm(contentType)) return null
  const [, quoted, bare] = /;[ \t]*boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))/i.exec(contentType) ?? []
  return quoted ?? bare ?? null
}

export function isForm(contentType: string | undefined): boolean {
  return /^multipart\/form-data\b/i.test(contentType ?? '')
}

function parameterOf(disposition: string, parameter: RegExp): string | null {
  const found = parameter.exec(disposition)
  return found?.[1]?.replaceAll(/\\(["\\])/g, '$1') ?? found?.[2] ?? null
}

/** Without the folders that some clients put before it. */
function fileNameOf(disposition: string): string | null {
  const extended = /;[ \t]*filename\*=utf-8''([^\s";]+)/i.exec(disposition)?.[1]
  const name = (extended === undefined ? null : decoded(extended)) ?? parameterOf(disposition, FILENAME)
  return name?.replace(/^.*[/\\]/s, '') ?? null
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    // No percent encoding: the plain name counts.
    return null
  }
}

function malformed(): RefusedError {
  return invalidForm('We could not parse the form: it is no complete multipart/form-data with its boundary.')
}

function invalidForm(message: string): RefusedError {
  return new RefusedError('invalid_form', message)
}
