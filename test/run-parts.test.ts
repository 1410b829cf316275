/** A run that is more than a service takes as one batch: cut into parts, waited for, and put together as one. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, afterEach, before, test } from 'node:test'
import { type DwRunner, startDwRunner } from './kit/dw-runner.ts'
import { type OpenAiService, startOpenAiService } from './kit/openai-service.ts'
import { chatLine, jsonl, parseLines, type RequestLine } from './kit/requests.ts'
import { type CommandResult, createSandbox } from './kit/server-process.ts'

const MODEL = 'gpt-test'
const sandbox = createSandbox()
let service: OpenAiService
let runner: DwRunner

before(async () => {
  service = await startOpenAiService()
  runner = startDwRunner()
})
afterEach(() => {
  Object.assign(service.knobs, {
    ...{
      answer: () => null,
      linesMax: 50_000,
      bytesMax: 1e9,
      enqueuedLinesMax: Infinity,
      linesPerLook: Infinity,
    },
  })
  service.askedById.clear()
})
after(async () => {
  await runner.stop()
  await service.stop()
  sandbox.remove()
})

function dw(...words: string[]): Promise<CommandResult> {
  return runner.run(words, { cwd: sandbox.folder, env: { ...sandbox.env, ...service.env } })
}

function write(name: string, count: number, modelOf = (_number: number): string => MODEL): RequestLine[] {
  const lines = Array.from({ length: count }, (_, number) => chatLine(number, { model: modelOf(number) }))
  writeFileSync(sandbox.path(name), jsonl(lines))
  return lines
}

function idsIn(name: string): string[] {
  return parseLines(readFileSync(sandbox.path(name), 'utf8')).map(({ custom_id }) => custom_id)
}

/** The requests of each batch from this one on, as they were uploaded. */
function uploads(from: number): RequestLine[][] {
  return service
    .batches()
    .slice(from)
    .filter(({ status }) => status === 'completed')
    .map(({ input_file_id }) =>
      parseLines<RequestLine>(service.files.get(input_file_id)?.bytes.toString('utf8') ?? ''),
    )
}

test('limits that are named cut the file; the parts together are the file, and their results one file', async () => {
  const requests = write('lines.jsonl', 25)
  const from = service.batches().length
  const ran = await dw('run', 'lines.jsonl', '--max-lines', '10', '-o', 'lines-out.jsonl')
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.deepEqual(uploads(from).flat(), requests)
  assert.deepEqual(
    uploads(from).map(({ length }) => length),
    [10, 10, 5],
  )
  assert.deepEqual(idsIn('lines-out.jsonl').toSorted(), requests.map(({ custom_id }) => custom_id).toSorted())
  assert.match(ran.stderr, /part 3 of 3, 5 requests/)
  const again = await dw('run', 'lines.jsonl', '-o', 'lines-out.jsonl')
  assert.equal(again.exitCode, 0, again.stderr)
  assert.equal(service.batches().length, from + 3)
  assert.match(again.stderr, /^batch_\w+ and 2 more batches, made .* completed/)
})

test('a file of several models is cut by model once the service refuses it, each request asked once', async () => {
  const requests = write('models.jsonl', 12, (number) => (number % 3 === 0 ? 'gpt-other' : MODEL))
  const from = service.batches().length
  const ran = await dw('run', 'models.jsonl', '-o', 'models-out.jsonl')
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.match(ran.stderr, /single model.*it is cut into 2 batches/)
  assert.deepEqual(
    uploads(from).map((lines) => [...new Set(lines.map(({ body }) => body.model))]),
    [['gpt-other'], [MODEL]],
  )
  assert.deepEqual(uploads(from).flat().toSorted(byId), requests.toSorted(byId))
  assert.ok([...service.askedById.values()].every((count) => count === 1))
})

function byId(a: RequestLine, b: RequestLine): number {
  return a.custom_id < b.custom_id ? -1 : 1
}

test('a service that refuses the size of an upload gets smaller ones, until they fit', async () => {
  const requests = write('bytes.jsonl', 40)
  service.knobs.bytesMax = 3_000
  const from = service.batches().length
  const ran = await dw('run', 'bytes.jsonl', '-o', 'bytes-out.jsonl')
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.match(ran.stderr, /File is too large\.\); it is cut into/)
  assert.deepEqual(uploads(from).flat(), requests)
  assert.equal(idsIn('bytes-out.jsonl').length, 40)
})

test('token_limit_exceeded is waited out: a batch that did not fit is made again when another has ended', async () => {
  const requests = write('tokens.jsonl', 30)
  service.knobs.enqueuedLinesMax = 10
  service.knobs.linesPerLook = 2
  const from = service.batches().length
  const ran = await dw('run', 'tokens.jsonl', '--max-lines', '10', '-o', 'tokens-out.jsonl')
  assert.equal(ran.exitCode, 0, ran.stderr)
  assert.match(
    ran.stderr,
    /token_limit_exceeded\): part 2 of 3 is tried again when another batch of this run has ended/,
  )
  assert.ok(
    service
      .batches()
      .slice(from)
      .some(({ status }) => status === 'failed'),
  )
  assert.ok([...service.askedById.values()].every((count) => count === 1))
  assert.deepEqual(
    idsIn('tokens-out.jsonl').toSorted(),
    requests.map(({ custom_id }) => custom_id).toSorted(),
  )
  // The upload of the part is used again.
  assert.equal(
    new Set(
      service
        .batches()
        .slice(from)
        .map(({ input_file_id }) => input_file_id),
    ).size,
    3,
  )
})

test('a refusal that cutting does not mend is told, and ends with 7', async () => {
  write('refused.jsonl', 3)
  service.interfere = ({ path, method }) => {
    const batch = service.batches().at(-1)
    if (method !== 'GET' || !path.startsWith('/v1/batches/') || batch === undefined) return null
    const errors = { object: 'list', data: [{ code: 'model_not_found', message: 'No such model.', line: 1 }] }
    return { status: 200, body: { ...batch, status: 'failed', errors } }
  }
  const ran = await dw('run', 'refused.jsonl', '-o', 'refused-out.jsonl')
  service.interfere = () => null
  assert.equal(ran.exitCode, 7, ran.stderr)
  assert.match(ran.stderr, /failed, nothing of it was run:\nmodel_not_found: line 1: No such model\./)
})
