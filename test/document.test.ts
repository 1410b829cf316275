import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { dwLines, workThroughDocument } from './kit/document.ts'
import { givenMaterial, skipWithout } from './kit/given-material.ts'

const skip = skipWithout(givenMaterial.document)
const lines = skip === false ? dwLines(readFileSync(givenMaterial.document, 'utf8')) : []

test('the document holds the commands that this test was written for', { skip }, () => {
  assert.equal(lines.length, 28)
  assert.ok(lines.includes('dw batches run batch.jsonl --model Qwen/Qwen3-VL-235B-A22B-Instruct-FP8 --watch'))
  assert.ok(lines.includes('dw batches create --file file-abc123 --metadata project=evals --metadata run=1'))
})

describe('each line of the document works as written', { concurrency: true, skip }, () => {
  for (const place of ['pipe', 'terminal'] as const) {
    test(`in a ${place}`, () => workThroughDocument(lines, { place, nodePath: process.execPath }))
  }
})
