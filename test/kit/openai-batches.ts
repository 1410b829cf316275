/** What a service with OpenAI's Files and Batches keeps and does, in memory; `openai-service.ts` puts it on HTTP. */
import { createHash } from 'node:crypto'
import type { WireBatch, WireBatchError, WireFile } from '../../src/contract/wire.ts'
import type { ResultLine } from './requests.ts'

/** A request as the service asks its model. */
export type AskedLine = {
  customId: string
  body: Record<string, unknown>
  batchId: string
  /** From 1, within the input file. */
  lineNumber: number
  /** Times this `custom_id` was asked before, in any batch. */
  askedBefore: number
}

/**
 * What becomes of a line: an answer with a status (200 when absent; others go to the error file), an error without an answer, or a
 * line that the service loses (`drop`: counted, written nowhere) or writes twice (`duplicate`). Null: the plain answer.
 */
export type LineFate =
  | { status?: number; body?: Record<string, unknown> }
  | { error: { code: string; message: string } }
  | 'drop'
  | 'duplicate'
  | null

/** Read at every step: a test may change them at any time. */
export type Knobs = {
  /** Called once for every line that is run. */
  answer: (line: AskedLine) => LineFate
  /** Lines that each unended batch is further on with every look at any batch or at the list. 0 holds them. */
  linesPerLook: number
  /** A batch expires once it has run this many lines; null: never. */
  expiresAfterLines: number | null
  /** Whether lines that an expiry or a cancel left get a line in the error file, as OpenAI writes it. */
  writesUnanswered: boolean
  /** A batch fails with `token_limit_exceeded` when its lines and those of the batches at work are more. */
  enqueuedLinesMax: number
  linesMax: number
  bytesMax: number
  /** A second model in a file fails the batch with `mismatched_model`. */
  isOneModel: boolean
  models: readonly string[]
}

export type StoredFile = { wire: WireFile; bytes: Buffer }

type Line = { customId: string; body: Record<string, unknown>; lineNumber: number }

type Work = {
  /** What OpenAI sends: without our extras. */
  wire: Omit<WireBatch, 'dw'>
  lines: Line[]
  /** Lines run so far, from the first on. */
  done: number
  output: string[]
  errors: string[]
}

export type Service = ReturnType<typeof createService>

const WINDOW_SECONDS = 86_400
const endedStatuses: ReadonlySet<string> = new Set(['completed', 'failed', 'expired', 'cancelled'])

export function createService(knobs: Knobs) {
  const files = new Map<string, StoredFile>()
  const works = new Map<string, Work>()
  const askedById = new Map<string, number>()
  const state = { knobs, files, works, askedById }
  return {
    files,
    /** How often the model was asked for each `custom_id`. */
    askedById,
    batches: () => [...works.values()].map(({ wire }) => wire),
    batch: (id: string) => works.get(id)?.wire ?? null,
    addFile: (name: string, bytes: Buffer, purpose = 'batch') => addFile(files, { name, bytes, purpose }),
    createBatch(request: Pick<WireBatch, 'input_file_id' | 'endpoint' | 'metadata'>): Work['wire'] {
      const id = `batch_${nameOf('batch', works.size + 1)}`
      const wire = newBatch(id, request)
      works.set(id, { wire, lines: [], done: 0, output: [], errors: [] })
      return wire
    },
    /** Every batch goes one step on: how time passes here. */
    look(): void {
      for (const work of works.values()) step(work, state)
    },
    /** @returns false for a batch that cannot be cancelled */
    cancel(id: string): boolean {
      const work = works.get(id)
      if (work === undefined) return false
      const { wire } = work
      if (wire.status === 'cancelling' || wire.status === 'cancelled') return true
      if (endedStatuses.has(wire.status)) return false
      Object.assign(wire, { status: 'cancelling', cancelling_at: seconds() })
      return true
    },
  }
}

type State = {
  knobs: Knobs
  files: Map<string, StoredFile>
  works: Map<string, Work>
  askedById: Map<string, number>
}

function step(work: Work, state: State): void {
  const { wire } = work
  const { knobs } = state
  if (endedStatuses.has(wire.status)) return
  if (wire.status === 'cancelling') return end(work, 'cancelled', state)
  if (wire.status === 'validating') return validate(work, state)
  const stopAt = Math.min(work.lines.length, knobs.expiresAfterLines ?? Number.POSITIVE_INFINITY)
  const goal = Math.min(stopAt, work.done + knobs.linesPerLook)
  for (; work.done < goal; work.done += 1) runLine(work, state)
  if (work.done < stopAt) return
  end(work, work.done < work.lines.length ? 'expired' : 'completed', state)
}

function runLine(work: Work, { knobs, askedById }: State): void {
  // `step` stays within the lines.
  const line = work.lines[work.done] as Line
  const { wire } = work
  const askedBefore = askedById.get(line.customId) ?? 0
  askedById.set(line.customId, askedBefore + 1)
  const fate = knobs.answer({ ...line, batchId: wire.id, askedBefore })
  const isError = fate !== null && typeof fate === 'object' && 'error' in fate
  const told = fate !== null && typeof fate === 'object' && !isError ? fate : {}
  const status = told.status ?? 200
  const row: ResultLine = {
    id: `batch_req_${nameOf(wire.id, line.lineNumber)}`,
    custom_id: line.customId,
    response: isError
      ? null
      : {
          status_code: status,
          request_id: nameOf('call', work.done),
          body: told.body ?? bodyOf(line, status),
        },
    error: isError ? fate.error : null,
  }
  const isSuccess = !isError && status >= 200 && status < 300
  wire.request_counts[isSuccess ? 'completed' : 'failed'] += 1
  if (fate === 'drop') return
  const written = isSuccess ? work.output : work.errors
  written.push(JSON.stringify(row))
  if (fate === 'duplicate') written.push(JSON.stringify(row))
  if (isSuccess) addUsage(wire, told.body ?? bodyOf(line, status))
}

/** The plain answer: echoes the last message, 10 tokens in and 5 out. */
function bodyOf({ body, customId }: Line, status: number): Record<string, unknown> {
  if (status >= 300)
    return { error: { message: `scripted ${status}`, type: 'server_error', param: null, code: 'scripted' } }
  return {
    id: `chatcmpl-${customId}`,
    object: 'chat.completion',
    created: seconds(),
    model: body.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: JSON.stringify(body.messages ?? body) },
        finish_reason: 'stop',
      },
    ],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  }
}

function addUsage(wire: Work['wire'], body: Record<string, unknown>): void {
  // Of an answer that the test or this file wrote.
  const usage = body.usage as { prompt_tokens?: number; completion_tokens?: number } | undefined
  wire.usage.input_tokens += usage?.prompt_tokens ?? 0
  wire.usage.output_tokens += usage?.completion_tokens ?? 0
  wire.usage.total_tokens = wire.usage.input_tokens + wire.usage.output_tokens
}

function end(work: Work, status: 'completed' | 'expired' | 'cancelled', { knobs, files }: State): void {
  const { wire } = work
  const at = seconds()
  if (status !== 'completed' && knobs.writesUnanswered && wire.in_progress_at !== null) {
    const code = `batch_${status}`
    const message =
      status === 'expired'
        ? 'This request could not be executed before the completion window expired.'
        : 'This request was cancelled with its batch.'
    for (const { customId, lineNumber } of work.lines.slice(work.done)) {
      const id = `batch_req_${nameOf(wire.id, lineNumber)}`
      work.errors.push(JSON.stringify({ id, custom_id: customId, response: null, error: { code, message } }))
    }
  }
  const write = (kind: 'output' | 'error', lines: readonly string[]): string | null => {
    if (lines.length === 0) return null
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
    return addFile(files, { name: `${wire.id}_${kind}.jsonl`, bytes, purpose: 'batch_output' }).id
  }
  // Answers come as they are ready: never count on the order of the input.
  wire.output_file_id = write('output', work.output.toReversed())
  wire.error_file_id = write('error', work.errors.toReversed())
  Object.assign(wire, { status, [`${status}_at`]: at })
}

function validate(work: Work, state: State): void {
  const { wire } = work
  const file = state.files.get(wire.input_file_id)
  const faults =
    file === undefined
      ? [
          fault(
            'invalid_request',
            `Cannot find file ${wire.input_file_id}, or organization org-test does not have access to it.`,
          ),
        ]
      : readLines(file.bytes, work, state)
  if (faults.length > 0) {
    work.lines = []
    Object.assign(wire, { status: 'failed', failed_at: seconds(), errors: { object: 'list', data: faults } })
    return
  }
  wire.request_counts.total = work.lines.length
  const model = work.lines[0]?.body.model
  Object.assign(wire, { status: 'in_progress', in_progress_at: seconds(), model })
}

/** Puts the lines of the input into `work`. @returns what is wrong with them */
function readLines(bytes: Buffer, work: Work, { knobs, works }: State): WireBatchError[] {
  const faults: WireBatchError[] = []
  const ids = new Set<string>()
  for (const [index, text] of bytes.toString('utf8').split('\n').entries()) {
    if (text.trim() === '') continue
    const line = index + 1
    const row = parse(text)
    if (row === null)
      faults.push(fault('invalid_json_line', 'This line is not parseable as valid JSON.', line))
    else {
      const id = String(row.custom_id)
      if (ids.has(id))
        faults.push(
          fault('duplicate_custom_id', `The custom_id '${id}' for this request is a duplicate.`, line),
        )
      ids.add(id)
      if (row.url !== work.wire.endpoint)
        faults.push(
          fault('invalid_url', 'The URL provided for this request does not match the batch endpoint.', line),
        )
      const body = row.body as Record<string, unknown>
      work.lines.push({ customId: id, body, lineNumber: line })
      if (knobs.isOneModel && body.model !== work.lines[0]?.body.model)
        faults.push(
          fault(
            'mismatched_model',
            `The model '${String(body.model)}' for this request does not match the rest of the batch. Each batch must contain requests for a single model.`,
            line,
          ),
        )
    }
  }
  if (work.lines.length > knobs.linesMax)
    faults.push(fault('invalid_request', `The input file has more than ${knobs.linesMax} requests.`))
  const isAtWork = ({ wire }: Work): boolean => wire.status === 'in_progress'
  const enqueued = [...works.values()].filter(isAtWork).reduce((sum, { lines }) => sum + lines.length, 0)
  const model = String(work.lines[0]?.body.model)
  const limit = `Limit: ${knobs.enqueuedLinesMax} enqueued tokens.`
  if (enqueued > 0 && enqueued + work.lines.length > knobs.enqueuedLinesMax)
    faults.push(
      fault(
        'token_limit_exceeded',
        `Enqueued token limit reached for ${model} in organization org-test. ${limit} Please try again once some in_progress batches have been completed.`,
      ),
    )
  return faults
}

function parse(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: a fault of the file, which the caller reports.
    return null
  }
}

function fault(code: string, message: string, line: number | null = null): WireBatchError {
  return { code, message, param: null, line }
}

function newBatch(
  id: string,
  request: Pick<WireBatch, 'input_file_id' | 'endpoint' | 'metadata'>,
): Work['wire'] {
  const at = seconds()
  return {
    id,
    object: 'batch',
    endpoint: request.endpoint,
    model: null,
    errors: null,
    input_file_id: request.input_file_id,
    completion_window: '24h',
    status: 'validating',
    output_file_id: null,
    error_file_id: null,
    created_at: at,
    in_progress_at: null,
    expires_at: at + WINDOW_SECONDS,
    finalizing_at: null,
    completed_at: null,
    failed_at: null,
    expired_at: null,
    cancelling_at: null,
    cancelled_at: null,
    request_counts: { total: 0, completed: 0, failed: 0 },
    usage: {
      input_tokens: 0,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 0,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 0,
    },
    metadata: request.metadata,
  }
}

/** Of all services of the process: the name of a deleted file is not given again. */
let filesMade = 0

function addFile(
  files: Map<string, StoredFile>,
  { name, bytes, purpose }: { name: string; bytes: Buffer; purpose: string },
): WireFile {
  filesMade += 1
  const wire: WireFile = {
    id: `file-${nameOf('file', filesMade)}`,
    object: 'file',
    bytes: bytes.byteLength,
    created_at: seconds(),
    expires_at: null,
    filename: name,
    purpose,
    status: 'processed',
    status_details: null,
  }
  files.set(wire.id, { wire, bytes })
  return wire
}

/** 32 hexadecimal digits, as OpenAI's ids have, the same in every run. */
function nameOf(kind: string, number: number): string {
  return createHash('sha256').update(`${kind} ${number}`).digest('hex').slice(0, 32)
}

function seconds(): number {
  return Math.floor(Date.now() / 1_000)
}
