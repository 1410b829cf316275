/**
 * Inspects blocks of whole lines. A line is decoded as Latin-1: places in that text are byte offsets, and the JSON grammar reads it the
 * same way because its own characters are all ASCII. Strings that leave here are decoded to what they say.
 *
 * Invariant: `count` is the number of entries given out, until the limit of lines is passed; from then on lines are only counted.
 */
import { constants, isAscii, isUtf8 } from 'node:buffer'
import type { Endpoint } from '../domain/batch.ts'
import type { ModelShare } from '../domain/file.ts'
import { JSON_DEPTH_MAX, JSON_VALUES_MAX, MODELS_PER_FILE_MAX } from '../domain/limits.ts'
import type { BlockSink } from './block-cutter.ts'
import type { DuplicateFinder } from './duplicate-finder.ts'
import { PROMPT_BYTES_PER_TOKEN } from './estimate.ts'
import type { FindingList } from './finding-list.ts'
import { findSpans, type RequestSpans, weighJson } from './json-spans.ts'
import type { IndexEntry } from './line-index.ts'
import type { LineSampler } from './line-sample.ts'
import {
  type BytesOf,
  isObject,
  type JsonObject,
  outputTokensLimitOf,
  promptBytesOf,
} from './prompt-bytes.ts'
import { checkRequest, type RequestFacts } from './request-rules.ts'
import { createShareBook } from './share-book.ts'
import { templateOf } from './template.ts'
import { encodingOf } from './tokenizer.ts'

export type LineInspectorOptions = {
  lineBytesMax: number
  linesMax: number
  modelOverride: string | null
  onEntry: ((entry: IndexEntry) => void) | null
  findings: FindingList
  duplicates: DuplicateFinder
  sampler: LineSampler
}

/** A block with what is known of all its lines. */
type Block = {
  bytes: Buffer
  /** Of the block in the file. */
  offset: number
  isAscii: boolean
  isUtf8: boolean
  hasUnicodeEscapes: boolean
}

type Span = { start: number; end: number }

/** A parsed line, and how its strings count. */
type Parsed = { value: unknown; bytesOf: BytesOf }

/** Lines below this cannot hold enough values to matter; larger ones are weighed before they are parsed. */
const WEIGHED_BYTES_MIN = 256 * 1024
/** Required by the index format: line numbers and lengths are u32. */
const U32_MAX = 2 ** 32 - 1
const CARRIAGE_RETURN = 13
const NEWLINE = 10
const byteOrderMarks = [
  { name: 'UTF-8', bytes: Buffer.from([0xef, 0xbb, 0xbf]) },
  { name: 'UTF-16', bytes: Buffer.from([0xff, 0xfe]) },
  { name: 'UTF-16', bytes: Buffer.from([0xfe, 0xff]) },
]
const NOT_ASCII = /[\x80-\xff]/

const asParsed: BytesOf = (text) => text.length
const asUtf8: BytesOf = (text) => Buffer.byteLength(text)

export class LineInspector implements BlockSink {
  /** Request lines so far, blank ones left out. */
  count = 0
  readonly endpoints: Endpoint[] = []
  private readonly options: LineInspectorOptions
  private readonly lineBytesMax: number
  private readonly book = createShareBook()
  /** By number of the model. */
  private readonly hasTokenizer: boolean[] = []
  private lineNumber = 0
  private hasTooManyLines = false
  private hasTooManyModels = false

  constructor(options: LineInspectorOptions) {
    this.options = options
    this.lineBytesMax = Math.min(options.lineBytesMax, constants.MAX_STRING_LENGTH)
  }

  shares(): ModelShare[] {
    return this.book.shares()
  }

  onBlock(bytes: Buffer, offset: number): void {
    const isAsciiBlock = isAscii(bytes)
    const block: Block = {
      bytes,
      offset,
      isAscii: isAsciiBlock,
      isUtf8: isAsciiBlock || isUtf8(bytes),
      hasUnicodeEscapes: bytes.includes('\\u'),
    }
    let start = offset === 0 ? this.checkStart(bytes) : 0
    while (start < bytes.byteLength) {
      const newline = bytes.indexOf(NEWLINE, start)
      const lineEnd = newline === -1 ? bytes.byteLength : newline
      const hasReturn = lineEnd > start && bytes[lineEnd - 1] === CARRIAGE_RETURN
      const span = { start, end: hasReturn ? lineEnd - 1 : lineEnd }
      this.lineNumber += 1
      if (!isBlank(bytes, span) && this.admitLine()) this.inspectLine(block, span)
      start = lineEnd + 1
    }
  }

  onLongLine(bytes: number, offset: number): void {
    this.lineNumber += 1
    if (this.admitLine()) this.refuseLongLine(bytes, offset)
  }

  private inspectLine(block: Block, span: Span): void {
    const offset = block.offset + span.start
    const lineBytes = span.end - span.start
    if (lineBytes > this.lineBytesMax) return this.refuseLongLine(lineBytes, offset)
    const entry = this.emptyEntry(offset, lineBytes)
    this.fillEntry(entry, block, span)
    this.options.onEntry?.(entry)
  }

  private fillEntry(entry: IndexEntry, block: Block, span: Span): void {
    if (!block.isUtf8 && !isUtf8(block.bytes.subarray(span.start, span.end))) {
      return this.report('invalid_utf8', null, 'This line is not valid UTF-8. Save the file as UTF-8.')
    }
    // One string per line: parsing a slice of a larger string takes twice as long.
    const line = block.bytes.toString('latin1', span.start, span.end)
    const parsed = this.parse(line, block, span)
    if (parsed === null) return
    if (!isObject(parsed.value)) {
      return this.report('invalid_json_line', null, 'This line is valid JSON but not an object.')
    }
    const spans = findSpans(line, parsed.bytesOf === asUtf8)
    if (spans.depth > JSON_DEPTH_MAX) return this.reportDepth(spans.depth)
    // Without escapes every character of the Latin-1 text is a byte; with them the text was parsed as what it says.
    const isLatin1 = !block.isAscii && parsed.bytesOf === asParsed
    const request = isLatin1 ? decodeNames(parsed.value) : parsed.value
    const known = { url: this.endpoints[0] ?? null, model: this.options.modelOverride }
    const facts = checkRequest(request, known, this.report)
    fillSpans(entry, spans)
    if (facts.customId !== null) {
      this.options.duplicates.add(facts.customId, {
        tokenOffset: entry.lineOffset + entry.customIdStart,
        tokenBytes: entry.customIdBytes,
        lineNumber: entry.lineNumber,
      })
    }
    if (facts.url !== null) entry.endpointNumber = this.endpointNumber(facts.url)
    this.countShare(entry, { text: line, facts, spans, bytesOf: parsed.bytesOf })
  }

  private parse(line: string, block: Block, span: Span): Parsed | null {
    if (line.length > WEIGHED_BYTES_MIN) {
      const weight = weighJson(line)
      if (weight.depth > JSON_DEPTH_MAX) {
        this.reportDepth(weight.depth)
        return null
      }
      if (weight.values > JSON_VALUES_MAX) {
        const message = `This line holds ${weight.values} JSON values; the limit is ${JSON_VALUES_MAX}.`
        this.report('line_too_complex', null, message)
        return null
      }
    }
    const isEscaped = block.hasUnicodeEscapes && line.includes('\\u')
    try {
      if (!isEscaped) return { value: JSON.parse(line), bytesOf: asParsed }
      const text = block.isAscii ? line : block.bytes.toString('utf8', span.start, span.end)
      return { value: JSON.parse(text), bytesOf: asUtf8 }
    } catch {
      // JSON.parse throws for no other reason than its text.
      this.report('invalid_json_line', null, 'This line is not parseable as valid JSON.')
      return null
    }
  }

  private countShare(
    entry: IndexEntry,
    line: { text: string; facts: RequestFacts; spans: RequestSpans; bytesOf: BytesOf },
  ): void {
    const { body, model } = line.facts
    if (body === null) return
    const { toolsStart, toolsEnd } = line.spans
    const toolsBytes = toolsStart === -1 ? 0 : toolsEnd - toolsStart
    const promptBytes = promptBytesOf(body, line.bytesOf) + toolsBytes
    entry.promptTokensEstimate = Math.min(Math.round(promptBytes / PROMPT_BYTES_PER_TOKEN), U32_MAX)
    if (model === null) return
    const modelNumber = this.book.numberOf(model)
    if (modelNumber === null) return this.reportTooManyModels()
    entry.modelNumber = modelNumber
    this.book.add(modelNumber, {
      bodyBytes: entry.bodyBytes,
      promptBytes,
      outputTokensLimit: outputTokensLimitOf(body),
      template: () => templateOf(body),
    })
    this.hasTokenizer[modelNumber] ??= encodingOf(model) !== null
    if (this.hasTokenizer[modelNumber] !== true) return
    const tools = toolsBytes === 0 ? '' : line.text.slice(toolsStart, toolsEnd)
    const isLatin1 = line.bytesOf === asParsed
    this.options.sampler.offer(this.lineNumber, { modelNumber, body, tools, isLatin1 })
  }

  private endpointNumber(url: Endpoint): number {
    const known = this.endpoints.indexOf(url)
    if (known !== -1) return known
    this.endpoints.push(url)
    return this.endpoints.length - 1
  }

  /** @returns false for a line behind the limit of lines, which is counted but not looked at. */
  private admitLine(): boolean {
    this.count += 1
    if (this.count <= this.options.linesMax && this.lineNumber <= U32_MAX) return true
    if (!this.hasTooManyLines) {
      this.hasTooManyLines = true
      const message = `The input file has more than ${this.count - 1} requests, which is the limit. Split it.`
      this.options.findings.add({ code: 'too_many_lines', message, param: null, lineNumber: null })
    }
    return false
  }

  private refuseLongLine(lineBytes: number, offset: number): void {
    const message = `This line has ${lineBytes} bytes; the limit is ${this.lineBytesMax} bytes.`
    this.report('line_too_long', null, message)
    this.options.onEntry?.(this.emptyEntry(offset, Math.min(lineBytes, U32_MAX)))
  }

  private reportDepth(depth: number): void {
    const message = `This line nests ${depth} JSON values in each other; the limit is ${JSON_DEPTH_MAX}.`
    this.report('line_too_complex', null, message)
  }

  private reportTooManyModels(): void {
    if (this.hasTooManyModels) return
    this.hasTooManyModels = true
    const message = `The input file names more than ${MODELS_PER_FILE_MAX} models, which is the limit.`
    this.report('too_many_models', 'body.model', message)
  }

  /** @returns where the first line begins */
  private checkStart(bytes: Buffer): number {
    const mark = byteOrderMarks.find((candidate) =>
      bytes.subarray(0, candidate.bytes.length).equals(candidate.bytes),
    )
    if (mark === undefined) return 0
    const message = `The file begins with a ${mark.name} byte order mark. Save it as UTF-8 without one.`
    this.options.findings.add({ code: 'byte_order_mark', message, param: null, lineNumber: 1 })
    return mark.bytes.length
  }

  private readonly report = (code: string, param: string | null, message: string): void => {
    this.options.findings.add({ code, message, param, lineNumber: this.lineNumber })
  }

  private emptyEntry(lineOffset: number, lineBytes: number): IndexEntry {
    return {
      lineOffset,
      lineBytes,
      bodyStart: 0,
      bodyBytes: 0,
      customIdStart: 0,
      customIdBytes: 0,
      lineNumber: this.lineNumber,
      modelNumber: 0,
      endpointNumber: 0,
      modelStart: 0,
      modelBytes: 0,
      promptTokensEstimate: 0,
    }
  }
}

function fillSpans(entry: IndexEntry, spans: RequestSpans): void {
  if (spans.customIdStart !== -1) {
    entry.customIdStart = spans.customIdStart
    entry.customIdBytes = spans.customIdEnd - spans.customIdStart
  }
  if (spans.bodyStart !== -1) {
    entry.bodyStart = spans.bodyStart
    entry.bodyBytes = spans.bodyEnd - spans.bodyStart
  }
  if (spans.modelStart !== -1) {
    entry.modelStart = spans.modelStart
    entry.modelBytes = spans.modelEnd - spans.modelStart
  }
}

/** The strings that the rules look at, decoded from the bytes they were read as. */
function decodeNames(request: JsonObject): JsonObject {
  const { body } = request
  return {
    ...request,
    custom_id: decode(request.custom_id),
    method: decode(request.method),
    url: decode(request.url),
    body: isObject(body) ? { ...body, model: decode(body.model) } : body,
  }
}

function decode(value: unknown): unknown {
  return typeof value === 'string' && NOT_ASCII.test(value) ? Buffer.from(value, 'latin1').toString() : value
}

function isBlank(bytes: Buffer, span: Span): boolean {
  for (let at = span.start; at < span.end; at += 1) {
    const code = bytes[at]
    if (code !== 0x20 && code !== 0x09 && code !== CARRIAGE_RETURN) return false
  }
  return true
}
