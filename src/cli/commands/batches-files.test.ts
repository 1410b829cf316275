import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { checkInput, findInputs, stampOf } from './batches-files.ts'

const folder = mkdtempSync(join(tmpdir(), 'dw-'))
after(() => rmSync(folder, { recursive: true }))

const request = JSON.stringify({
  custom_id: 'a',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'm', messages: [{ role: 'user', content: 'x' }] },
})
const answer = '{"id":"batch_req_1","custom_id":"a","response":{"status_code":200,"body":{}},"error":null}'

function write(name: string, text: string): string {
  const path = join(folder, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, text)
  return path
}

test('a folder gives its request files by name, and names its result files', () => {
  const b = write('in/b.jsonl', `${request}\n`)
  const a = write('in/a.jsonl', `\n${request}\n`)
  const results = write('in/a.results.jsonl', `${answer}\n`)
  const long = write(
    'in/long.jsonl',
    `${answer.replace('{}', JSON.stringify({ text: 'x'.repeat(100_000) }))}\n`,
  )
  write('in/notes.txt', 'x')
  write('in/more/c.jsonl', `${request}\n`)
  mkdirSync(join(folder, 'in', 'folder.jsonl'))
  assert.deepEqual(findInputs([join(folder, 'in')]), { paths: [a, b], skipped: [results, long] })
  assert.deepEqual(findInputs([b, join(folder, 'in'), b]).paths, [b, a])
})

test('what is not there is refused, and so is a folder without requests', () => {
  assert.throws(() => findInputs([join(folder, 'nowhere.jsonl')]), { code: 'no_such_file' })
  mkdirSync(join(folder, 'empty'))
  assert.throws(() => findInputs([join(folder, 'empty')]), { code: 'no_input_files' })
  write('only/results.jsonl', `${answer}\n`)
  assert.throws(() => findInputs([join(folder, 'only')]), { code: 'no_input_files' })
})

test('a check tells lines, endpoint and findings, and notices a later change', async () => {
  const options = { model: null, signal: new AbortController().signal, onProgress: () => {} }
  const good = await checkInput(write('good.jsonl', `${request}\n`), options)
  assert.equal(good.inspected.findingsTotal, 0)
  assert.deepEqual(good.inspected.endpoints, ['/v1/chat/completions'])
  write('good.jsonl', `${request}\n${request}\n`)
  assert.notEqual(stampOf(good.path), good.stamp)
  const bad = await checkInput(write('bad.jsonl', `${request}\nnot json\n`), options)
  assert.deepEqual(
    bad.inspected.findings.map(({ code, lineNumber }) => [code, lineNumber]),
    [['invalid_json_line', 2]],
  )
})
