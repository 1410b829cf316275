import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { commands } from '../src/cli/commands.ts'
import { CLI_DOCS_PATH, cliDocs } from '../tools/make-cli-docs.ts'

test('docs/cli.md says what the commands say', () => {
  assert.equal(readFileSync(CLI_DOCS_PATH, 'utf8'), cliDocs(), 'make it again: node tools/make-cli-docs.ts')
})

test('every command can be loaded and has at least two examples that name it', async () => {
  for (const spec of commands) {
    const words = `dw ${spec.path.join(' ')}`
    assert.ok(spec.examples.length >= 2, words)
    for (const example of spec.examples) assert.ok(example.startsWith(words), example)
    assert.equal(typeof (await spec.load()).run, 'function')
  }
})
