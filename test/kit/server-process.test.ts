import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, test } from 'node:test'
import { createSandbox, run, runOnTerminal } from './server-process.ts'

const sandbox = createSandbox()
after(() => {
  sandbox.remove()
  assert.ok(!existsSync(sandbox.folder))
})

test('a command on a terminal sees a terminal, and its questions are answered', async () => {
  const script = 'test -t 0 && test -t 1 && printf "Really? " && read answer && echo "got $answer" && exit 7'
  const answers = [{ prompt: /Really\?/, type: 'yes\r' }]
  const { exitCode, output } = await runOnTerminal('sh', ['-c', script], { env: sandbox.env, answers })
  assert.equal(exitCode, 7)
  assert.match(output, /got yes/)
})

test('a command in a pipe sees no terminal, and reads what it is given', async () => {
  const script = 'test -t 1 && exit 9; cat; echo word >&2; exit 3'
  const ended = await run('sh', ['-c', script], { env: sandbox.env, stdin: 'data' })
  assert.deepEqual(ended, { exitCode: 3, stdout: 'data', stderr: 'word\n' })
})

test('nothing of the set-up of the caller reaches a sandbox', () => {
  process.env.OPENAI_API_KEY = 'secret'
  try {
    const other = createSandbox()
    other.remove()
    assert.equal(other.env.OPENAI_API_KEY, undefined)
    assert.ok(other.env.HOME?.startsWith(other.folder))
  } finally {
    delete process.env.OPENAI_API_KEY
  }
})
