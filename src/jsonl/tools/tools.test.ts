/** Statistics, samples, parts and requests made of data. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createSeededRandom } from '../../lib/random.ts'
import { chunksOf, createTestDesk, createWritten } from './desk-for-tests.ts'
import { imageTypeOf } from './images.ts'
import { type MakeOptions, makeRequests } from './make.ts'
import { createReservoir } from './sample.ts'
import { createPartNames, createSplitPlan } from './split.ts'
import { statsOf } from './stats.ts'
import { parseTemplate } from './template.ts'

const desk = createTestDesk()
after(() => desk.remove())

test('statistics count lines of each endpoint, images by kind and the longest line', async () => {
  const line = (id: number, url: string, body: string): string =>
    `{"custom_id":"${id}","method":"POST","url":"${url}","body":{"model":"m",${body}}}`
  const image = (url: string): string => `{"type":"image_url","image_url":{"detail":"low","url":"${url}"}}`
  const chat = '/v1/chat/completions'
  const lines = [
    line(1, chat, `"messages":[{"content":[${image('data:x')},${image('https://h/x')},${image('a.png')}]}]`),
    line(2, chat, '"messages":[{"content":"say \\"image_url\\": \\"data:\\""}]'),
    line(3, '/v1/embeddings', '"input":[{"type":"input_image","image_url":"http://h/y"}]'),
    line(4, 'nowhere', '"messages":[1]'),
    'no json',
  ]
  const stats = await statsOf(desk.file('stats', lines.join('\n')), desk, new AbortController().signal)
  assert.deepEqual(stats.images, { inline: 1, remote: 2, local: 1 })
  assert.deepEqual(stats.endpoints, [
    { endpoint: chat, lines: 2 },
    { endpoint: '/v1/embeddings', lines: 1 },
  ])
  assert.deepEqual(stats.longestLine, { lineNumber: 1, bytes: lines[0]?.length })
  assert.equal(stats.inspected.lines, 5)
  assert.deepEqual(desk.leftOver(), [])
})

test('the same seed draws the same lines, every line has the same chance, and fewer than asked for are all', () => {
  const draw = (seed: number, lines: number, count: number): number[] => {
    const reservoir = createReservoir(count, createSeededRandom(seed))
    for (let line = 0; line < lines; line += 1) reservoir.offer()
    return [...reservoir.drawn()]
  }
  assert.deepEqual(draw(5, 10_000, 10), draw(5, 10_000, 10))
  assert.deepEqual(draw(1, 3, 5_000_000), [0, 1, 2])
  const counts = new Array<number>(10).fill(0)
  for (let seed = 0; seed < 5_000; seed += 1)
    for (const line of draw(seed, 10, 3)) counts[line] = (counts[line] ?? 0) + 1
  assert.ok(
    counts.every((count) => Math.abs(count - 1_500) < 150),
    String(counts),
  )
})

test('parts keep within every limit, each model has its own, and no two share a name', () => {
  const plan = createSplitPlan({ linesMax: 2, bytesMax: 100, tokensMax: null })
  const place = (model: string, bytes: number) => {
    const part = plan.place({ model, bytes, tokens: 0 })
    return part === null ? null : `${part.model} ${part.number}`
  }
  assert.deepEqual(
    [place('a', 50), place('b', 60), place('a', 50), place('a', 1), place('b', 41), place('a', 101)],
    ['a 1', 'b 1', 'a 1', 'a 2', 'b 2', null],
  )
  assert.equal(plan.parts.length, 4)
  const nameOf = createPartNames('x')
  assert.deepEqual(
    ['', 'org/m', 'org_M', 'org/m'].map((model) => nameOf({ model, number: 1 })),
    ['x-001.jsonl', 'x-org_m-001.jsonl', 'x-org_M~2-001.jsonl', 'x-org_m-001.jsonl'],
  )
})

async function make(text: string, options: Partial<Omit<MakeOptions, 'prompt'>> & { prompt?: string } = {}) {
  const written = createWritten()
  const totals = await makeRequests({
    desk,
    source: chunksOf(text, 3),
    format: 'csv',
    delimiter: null,
    system: null,
    model: 'm',
    endpoint: '/v1/embeddings',
    idName: null,
    edits: [],
    write: written.write,
    ...options,
    prompt: parseTemplate(options.prompt ?? '{{text}}'),
  })
  const requests = written
    .text()
    .split('\n')
    .filter((line) => line !== '')
  return {
    made: requests.map((line) => {
      const { custom_id, body } = JSON.parse(line)
      return [custom_id, body.input]
    }),
    findings: totals.findings.kept().map(({ code, lineNumber }) => `${code} ${lineNumber}`),
  }
}

test('rows of a table, of JSON and of text fill the template; what is wrong with a row is named', async () => {
  const table = await make('\ufeffid;text\nä;"a;b"\ny;"c\n{{id}}"\nz\nä;e\n', {
    idName: 'id',
    prompt: '<{{ text }}|{{id}}>',
  })
  assert.deepEqual(table.made, [
    ['ä', '<a;b|ä>'],
    ['y', '<c\n{{id}}|y>'],
    ['ä', '<e|ä>'],
  ])
  assert.deepEqual(table.findings, ['field_count 5', 'duplicate_custom_id 6'])
  const objects = await make('{"text":{"n":12345678901234567890}}\n{"text":"\\u00e4"}\n{"x":1}\n[1]', {
    format: 'jsonl',
  })
  assert.deepEqual(objects.made, [
    ['row-1', '{"n":12345678901234567890}'],
    ['row-2', 'ä'],
  ])
  assert.deepEqual(objects.findings, ['missing_field 3', 'invalid_json_line 4'])
  const deep = await make('{"a":{"b":[1.10]}}', { format: 'jsonl', prompt: '{{a.b.0}}' })
  assert.deepEqual(deep.made, [['row-1', '1.10']])
  assert.deepEqual((await make('one\n\ntwo', { format: 'txt', prompt: '{{line}} {{text}}' })).made, [
    ['row-1', '1 one'],
    ['row-3', '3 two'],
  ])
})

test('a table without the column, with two of a name, or without any line is refused', async () => {
  await assert.rejects(make('a,b\n1,2'), { code: 'unknown_column', message: /The table has: a, b/ })
  await assert.rejects(make('text,text\n1,2'), { code: 'invalid_input' })
  await assert.rejects(make(''), { code: 'invalid_input' })
})

test('what is an image is told by its bytes', () => {
  assert.equal(imageTypeOf(Buffer.from('\x89PNG\r\n\x1a\n..', 'latin1')), 'image/png')
  assert.equal(imageTypeOf(Buffer.from('<?xml version="1.0"?>\n<svg xmlns="">')), 'image/svg+xml')
  assert.equal(imageTypeOf(Buffer.from('<!DOCTYPE html><p>404</p>')), null)
  assert.equal(imageTypeOf(Buffer.from('root:x:0:0')), null)
})
