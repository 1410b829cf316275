import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { errorsPathOf, openFileSink, openFileSinkLate } from './results-sink.ts'

const folder = mkdtempSync(join(tmpdir(), 'dw-'))
after(() => rmSync(folder, { recursive: true }))
const bytes = Buffer.from('{"a":1}\n')

test('a file appears with its commit, and not before', async () => {
  const path = join(folder, 'new', 'a.jsonl')
  const sink = await openFileSink(path)
  await sink.write(bytes)
  await sink.write(bytes)
  assert.ok(!existsSync(path))
  await sink.commit()
  assert.equal(readFileSync(path, 'utf8'), '{"a":1}\n{"a":1}\n')
  assert.deepEqual(readdirSync(join(folder, 'new')), ['a.jsonl'])
})

test('an abort leaves the old file as it was and nothing else', async () => {
  const path = join(folder, 'old', 'a.jsonl')
  mkdirSync(join(folder, 'old'))
  writeFileSync(path, 'old')
  const sink = await openFileSink(path)
  await sink.write(bytes)
  await sink.abort()
  assert.equal(readFileSync(path, 'utf8'), 'old')
  assert.deepEqual(readdirSync(join(folder, 'old')), ['a.jsonl'])
})

test('a folder is refused as a target', async () => {
  await assert.rejects(openFileSink(folder), { code: 'is_a_folder' })
})

test('errors stand beside the answers, and only when there are some', async () => {
  assert.equal(errorsPathOf('out/a.jsonl'), 'out/a.errors.jsonl')
  assert.equal(errorsPathOf('a.txt'), 'a.txt.errors.jsonl')
  const path = join(folder, 'late.errors.jsonl')
  writeFileSync(path, 'of an earlier run')
  await openFileSinkLate(path).abort()
  assert.ok(existsSync(path))
  await openFileSinkLate(path).commit()
  assert.ok(!existsSync(path))
  const sink = openFileSinkLate(path)
  await sink.write(bytes)
  await sink.commit()
  assert.equal(readFileSync(path, 'utf8'), '{"a":1}\n')
})
