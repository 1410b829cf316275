/**
 * Puts every request beside its result, by custom_id, in the order of the requests. All files are read twice; memory is flat, ids and
 * places of lines go to temporary files. Of several results of one request the first success counts, else the last failure: so the
 * results of a batch and of its retries may be given together.
 */
import { createFindingList, type FindingList } from '../finding-list.ts'
import { isObject, type JsonObject } from '../prompt-bytes.ts'
import { quote } from '../request-rules.ts'
import type { Desk } from './desk.ts'
import { createIdLedger, type Repeat } from './id-ledger.ts'
import { createLinePlaces, type LinePlaces } from './line-places.ts'
import type { Line } from './lines.ts'
import { createPagedNumbers, type PagedNumbers } from './paged-numbers.ts'
import { customIdOf, type ParsedLine, parseLine } from './parse-line.ts'
import { findPath, utf8Of } from './splice.ts'

export type JoinInput = { path: string; read: () => AsyncIterable<readonly Line[]> }

export type JoinOptions = {
  desk: Desk
  requests: JoinInput
  results: readonly JoinInput[]
  /** Takes a JSON line for every request with a usable id. */
  write: (bytes: Uint8Array) => Promise<void>
}

export type JoinTotals = {
  requests: number
  succeeded: number
  failed: number
  missing: number
  /** The first few. */
  missingIds: string[]
  /** Of the requests, then of every results file. */
  findings: FindingList[]
}

/** Guess: findings of one file that are kept; the totals count all. */
const FINDINGS_HELD_MAX = 1_000
/** Ids of missing results that are named one by one. */
const MISSING_NAMED_MAX = 10
/** Marks of a line. */
const UNUSABLE = 0
const FAILED = 1
const SUCCEEDED = 2
/** Of a request line: only that it can be joined. */
const USABLE = 1
/** Added to the mark of a result whose request was found. */
const KNOWN = 4

type Part = JoinInput & {
  places: LinePlaces
  marks: PagedNumbers
  findings: FindingList
  /** Number of the line before its first one, counted over all files. */
  firstNumber: number
  lines: number
}

/** @throws TroubleError, and what `write` throws */
export async function joinResults(options: JoinOptions): Promise<JoinTotals> {
  const { desk } = options
  const parts: Part[] = []
  /** Of every request line: its result, by number over all files. */
  const chosen = createPagedNumbers(desk, 'u32')
  try {
    for (const input of [options.requests, ...options.results]) {
      const places = createLinePlaces(desk, input.path)
      parts.push({
        ...input,
        places,
        marks: createPagedNumbers(desk, 'u8'),
        findings: createFindingList(FINDINGS_HELD_MAX),
        firstNumber: 0,
        lines: 0,
      })
    }
    await matchIds(desk, parts, chosen)
    return await writeRows(parts, chosen, options.write)
  } finally {
    chosen.close()
    for (const { places, marks } of parts) {
      places.close()
      marks.close()
    }
  }
}

/** Afterwards `chosen` names the result of every request line that has one, and repeated and unknown ids are found. */
async function matchIds(desk: Desk, parts: Part[], chosen: PagedNumbers): Promise<void> {
  const ledger = createIdLedger(desk)
  try {
    let firstNumber = 0
    for (const part of parts) {
      part.firstNumber = firstNumber
      await addIds(part, part === parts[0], (id, lineNumber) => ledger.add(id, firstNumber + lineNumber))
      firstNumber += part.lines
    }
    ledger.report((repeat) => {
      const [requests] = parts
      if (requests === undefined || repeat.firstNumber > requests.lines) return
      if (repeat.number <= requests.lines) return reportRepeatedRequest(requests, repeat)
      chooseResult(parts, chosen, repeat)
    })
    for (const part of parts.slice(1)) reportUnknown(part)
  } finally {
    ledger.close()
  }
}

async function addIds(
  part: Part,
  isRequests: boolean,
  onId: (id: string, lineNumber: number) => void,
): Promise<void> {
  for await (const batch of part.read()) {
    for (const line of batch) {
      part.lines = line.lineNumber
      const report = reporterOf(part, line.lineNumber)
      const parsed = parseLine(line, report)
      const id = parsed === null ? null : customIdOf(parsed.value, report)
      const mark = id === null || parsed === null ? UNUSABLE : isRequests ? USABLE : markOf(parsed, report)
      part.marks.set(line.lineNumber, mark)
      // Requests are read in their order only.
      if (!isRequests) part.places.add(line)
      if (id !== null && mark !== UNUSABLE) onId(id, line.lineNumber)
    }
  }
}

function markOf({ value }: ParsedLine, report: (problem: { code: string; message: string }) => void): number {
  if (value.response === undefined && value.error === undefined) {
    report({ code: 'no_result', message: 'This line has neither a response nor an error: it is no result.' })
    return UNUSABLE
  }
  return isSuccess(value) ? SUCCEEDED : FAILED
}

function isSuccess({ response, error }: JsonObject): boolean {
  if (!isObject(response) || (error !== undefined && error !== null)) return false
  const status = response.status_code
  return typeof status === 'number' && status >= 200 && status < 300
}

function reportRepeatedRequest(requests: Part, { id, number, firstNumber }: Repeat): void {
  requests.marks.set(number, UNUSABLE)
  const message = `The custom_id ${quote(id)} is the one of line ${firstNumber}; results cannot tell them apart.`
  reporterOf(requests, number)({ code: 'duplicate_custom_id', message })
}

function chooseResult(
  parts: readonly Part[],
  chosen: PagedNumbers,
  { id, number, firstNumber }: Repeat,
): void {
  const earlier = chosen.get(firstNumber)
  const result = resultAt(parts, number)
  const mark = result.part.marks.get(result.lineNumber)
  result.part.marks.set(result.lineNumber, mark + KNOWN)
  if (earlier === 0) return chosen.set(firstNumber, number)
  const before = resultAt(parts, earlier)
  const isBetter = before.part.marks.get(before.lineNumber) === FAILED + KNOWN
  if (isBetter) chosen.set(firstNumber, number)
  if (isBetter && before.part !== result.part) return
  const isSecondSuccess = !isBetter && mark === SUCCEEDED
  if (before.part !== result.part && !isSecondSuccess) return
  const message = `There is another result of ${quote(id)}: line ${before.lineNumber} of ${before.part.path}.`
  reporterOf(result.part, result.lineNumber)({ code: 'duplicate_result', message })
}

function reportUnknown(part: Part): void {
  for (let lineNumber = 1; lineNumber <= part.lines; lineNumber += 1) {
    const mark = part.marks.get(lineNumber)
    if (mark === UNUSABLE || mark >= KNOWN) continue
    const message = 'No request has the custom_id of this result.'
    reporterOf(part, lineNumber)({ code: 'unknown_custom_id', message })
  }
}

function resultAt(parts: readonly Part[], number: number): { part: Part; lineNumber: number } {
  const part = parts.findLast((candidate) => candidate.firstNumber < number) ?? (parts[0] as Part)
  return { part, lineNumber: number - part.firstNumber }
}

async function writeRows(
  parts: readonly Part[],
  chosen: PagedNumbers,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<JoinTotals> {
  const totals: JoinTotals = {
    requests: 0,
    succeeded: 0,
    failed: 0,
    missing: 0,
    missingIds: [],
    findings: parts.map(({ findings }) => findings),
  }
  const [requests] = parts
  if (requests === undefined) return totals
  for await (const batch of requests.read()) {
    for (const line of batch) {
      if (requests.marks.get(line.lineNumber) === UNUSABLE || line.bytes === null) continue
      const request = line.bytes.toString('latin1')
      totals.requests += 1
      const number = chosen.get(line.lineNumber)
      const result = number === 0 ? null : resultAt(parts, number)
      const status = result === null ? 'missing' : statusOf(result)
      totals[status] += 1
      if (status === 'missing') {
        const customId = String(JSON.parse(utf8Of(memberOf(request, 'custom_id'))))
        if (totals.missingIds.length < MISSING_NAMED_MAX) totals.missingIds.push(customId)
        const message = `${quote(customId)} has no result.`
        reporterOf(requests, line.lineNumber)({ code: 'missing_result', message })
      }
      await write(rowOf(request, result, { status, lineNumber: line.lineNumber }))
    }
  }
  return totals
}

function statusOf({ part, lineNumber }: { part: Part; lineNumber: number }): 'succeeded' | 'failed' {
  return part.marks.get(lineNumber) === SUCCEEDED + KNOWN ? 'succeeded' : 'failed'
}

/** Bodies, answers and ids are the bytes of their files. All lines were read as objects before. */
function rowOf(
  request: string,
  result: { part: Part; lineNumber: number } | null,
  facts: { status: string; lineNumber: number },
): Buffer {
  const answer = result === null ? null : result.part.places.read(result.lineNumber).toString('latin1')
  const members = [
    `"custom_id":${memberOf(request, 'custom_id')}`,
    `"line":${facts.lineNumber}`,
    `"status":"${facts.status}"`,
    `"request":${memberOf(request, 'body')}`,
    `"response":${answer === null ? 'null' : memberOf(answer, 'response')}`,
    `"error":${answer === null ? 'null' : memberOf(answer, 'error')}`,
  ]
  return Buffer.from(`{${members.join(',')}}\n`, 'latin1')
}

/** @param text of an object, as Latin-1 */
function memberOf(text: string, name: string): string {
  const span = findPath(text, [name])
  return span === null ? 'null' : text.slice(span.start, span.end)
}

function reporterOf(part: Part, lineNumber: number): (problem: { code: string; message: string }) => void {
  return ({ code, message }) => part.findings.add({ code, message, param: null, lineNumber })
}
