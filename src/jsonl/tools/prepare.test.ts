import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { createTestDesk, createWritten, linesOf } from './desk-for-tests.ts'
import { parseEdit } from './edits.ts'
import { idMatcher, type PrepareOptions, prepareLines } from './prepare.ts'

const desk = createTestDesk()
after(() => desk.remove())

async function prepare(text: string, options: Partial<PrepareOptions> = {}, sets: string[] = []) {
  const written = createWritten()
  const totals = await prepareLines(linesOf(text), {
    edits: sets.map((set) => parseEdit(set, false)),
    maxTokens: null,
    endpoint: null,
    idPrefix: null,
    isRemoved: () => false,
    loadImage: null,
    desk,
    write: written.write,
    ...options,
  })
  const findings = totals.findings.kept().map(({ code, lineNumber }) => `${code} ${lineNumber}`)
  return { text: written.text(), totals, findings }
}

const head = '"custom_id":"ä","method":"POST","url":"/v1/chat/completions"'

test('a line to which nothing is done keeps its bytes', async () => {
  const line = `{${head}, "body" :{"seed":12345678901234567890123,"t":1.10,"e":1e2,"s":"\\u00e4ö\\/","messages":[]}}`
  assert.equal(
    (await prepare(`\ufeff${line}\r\n\n${line.replace('ä', 'b')}`)).text,
    `${line}\n${line.replace('ä', 'b')}\n`,
  )
})

test('values are set, replaced and put into arrays, and all other bytes stay', async () => {
  const line = `{${head},"body":{"b":9007199254740993,"a":1.10,"messages":[{"role":"user"} , 2]}}`
  const sets = [
    'body.a=0.50',
    'body.messages.0.role=système',
    'body.messages.2={"x": [1]}',
    'body.n.m=99999999999999999999',
  ]
  const { text } = await prepare(line, { maxTokens: 5 }, sets)
  assert.equal(
    text,
    `{${head},"body":{"b":9007199254740993,"a":0.50,"messages":[{"role":"système"} , 2,{"x": [1]}],"n":{"m":99999999999999999999},"max_tokens":5}}\n`,
  )
})

test('a name spelled with escapes and a repeated name are the ones that readers see', async () => {
  const { text } = await prepare(`{${head},"body":{"a":1,"\\u0061":2}}`, {}, ['body.a=3'])
  assert.equal(text, `{${head},"body":{"a":1,"\\u0061":3}}\n`)
})

test('the limit of tokens keeps the name that the line or its endpoint uses', async () => {
  const lines = [
    `{"custom_id":"1","method":"POST","url":"/v1/responses","body":{"input":""}}`,
    `{"custom_id":"2","method":"POST","url":"/v1/chat/completions","body":{"max_completion_tokens":1}}`,
  ]
  const { text } = await prepare(lines.join('\n'), { maxTokens: 9 })
  assert.match(text, /"max_output_tokens":9\}.*\n.*\{"max_completion_tokens":9\}/)
})

test('missing parts are added, a bare body becomes a request, a number becomes an id digit for digit', async () => {
  const lines = [
    '{"body":{"messages":[]}}',
    '{"messages":[]}',
    '{"custom_id":12345678901234567890,"method":"POST","url":"/v1/embeddings","body":{"input":""}}',
  ]
  const { text } = await prepare(lines.join('\n'))
  const made = (id: string) =>
    `{"custom_id":"${id}","method":"POST","url":"/v1/chat/completions","body":{"messages":[]}}`
  assert.equal(text, `${made('line-1')}\n${made('line-2')}\n${lines[2]?.replace(/(\d{20})/, '"$1"')}\n`)
})

test('what stands in the way is named by line, and the line is not written', async () => {
  const lines = ['{', '[]', `{${head},"body":"x"}`, `{${head},"body":{"a":"text"}}`, '{"body":{"input":"x"}}']
  const { text, findings } = await prepare(lines.join('\n'), {}, ['body.a.b=1'])
  assert.equal(text, '')
  assert.deepEqual(findings, [
    'invalid_json_line 1',
    'invalid_json_line 2',
    'invalid_type 3',
    'path_blocked 4',
    'url_unknown 5',
  ])
})

test('repeated ids are found, and new numbers mend them', async () => {
  const line = `{${head},"body":{}}`
  assert.deepEqual((await prepare(`${line}\n${line}`)).findings, ['duplicate_custom_id 2'])
  const { text, findings } = await prepare(`${line}\n${line}`, { idPrefix: 'n-' })
  assert.deepEqual(findings, [])
  assert.match(text, /"n-1".*\n.*"n-2"/)
})

test('lines are left out by a part of their id, or by a pattern', async () => {
  const lines = ['test-1', 'a.test', 'other'].map((id) => `{${head.replace('ä', id)},"body":{}}`).join('\n')
  assert.equal((await prepare(lines, { isRemoved: idMatcher('test') })).totals.removed, 2)
  assert.equal((await prepare(lines, { isRemoved: idMatcher('test-*') })).totals.removed, 1)
})

test('images in messages are encoded; a schema with a property of that name is not an image', async () => {
  const part = '{"type":"image_url","image_url":{"detail":"low","url":"a.png"}}'
  const tools = '"tools":[{"properties":{"image_url":"b.png"}}]'
  const line = `{${head},"body":{"messages":[{"content":[${part},{"image_url":"data:x"}]}],${tools}}}`
  const { text, totals } = await prepare(line, { loadImage: async (name) => `data:${name}` })
  assert.equal(text, `${line.replace('"a.png"', '"data:a.png"')}\n`)
  assert.equal(totals.imagesEncoded, 1)
})

test('an edit that is not clear is refused before anything is read', () => {
  for (const bad of ['temperature=1', 'body.a', 'body..a=1', 'body.a={x', 'body.a=007', 'body.a=NaN', '=1'])
    assert.throws(() => parseEdit(bad, false), { code: 'bad_set' }, bad)
  assert.deepEqual(parseEdit('body.a\\.b=gpt-4o', false), {
    path: ['body', 'a.b'],
    token: '"gpt-4o"',
    isDefault: false,
  })
})
