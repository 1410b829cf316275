import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { examplePath, exampleText } from '../tools/make-examples.ts'
import { countIds, parseLines, type RequestLine } from './kit/requests.ts'

test('the committed example file is what its script writes', () => {
  assert.equal(readFileSync(examplePath, 'utf8'), exampleText())
})

test('the example file holds a few hundred different requests with a few failures on purpose', () => {
  const lines = parseLines<RequestLine>(exampleText())
  assert.ok(lines.length >= 200 && lines.length < 1_000)
  assert.equal(countIds(lines).size, lines.length)
  assert.ok(lines.every((line) => String(line.body.model).startsWith('sim/')))
  const failing = lines.filter((line) => JSON.stringify(line).includes('[sim:content_filter'))
  assert.ok(failing.length >= 5 && failing.length <= lines.length / 10)
})
