/** An agent that knows nothing but `dw help --json`, `dw schema` and the guide, and reads nothing but JSON and exit codes. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { agentSteps } from '../src/cli/agent-guide.ts'
import { plainWords } from './kit/dw-examples.ts'
import { chatLine, jsonl, parseLines } from './kit/requests.ts'
import { errorReply, type ScriptedUpstream, startScriptedUpstream } from './kit/scripted-upstream.ts'
import {
  type CommandResult,
  createSandbox,
  runDw,
  type ServerProcess,
  startServerProcess,
} from './kit/server-process.ts'

const sandbox = createSandbox()
let isMended = false
let upstream: ScriptedUpstream
let server: ServerProcess

before(async () => {
  upstream = await startScriptedUpstream({
    models: ['test'],
    script: ({ body }) =>
      body.includes('Question 2') && !isMended ? errorReply(400, { code: 'content_filter' }) : null,
  })
  server = await startServerProcess(sandbox, ['--no-sim'])
  assert.equal((await dw(['upstream', 'add', upstream.url])).exitCode, 0)
})
after(async () => {
  await server.kill('SIGKILL')
  await upstream.stop()
  sandbox.remove()
})

function dw(words: readonly string[]): Promise<CommandResult> {
  return runDw(words, {
    cwd: sandbox.folder,
    env: { ...sandbox.env, DW_SERVER: server.url, AI_AGENT: 'test' },
  })
}

type Map = {
  commands: { command: string; usage: string; prints: string[]; exit_codes: number[]; examples: string[] }[]
}

test('R26: the map of all commands and the schemas are enough to know what can be asked', async () => {
  const map: Map = JSON.parse((await dw(['help', '--json'])).stdout)
  for (const step of agentSteps)
    for (const command of step.commands) {
      const entry = map.commands.find((one) => `${command} `.startsWith(`dw ${one.command} `))
      assert.ok(entry !== undefined, command)
      for (const name of entry.prints.slice(0, 1))
        assert.equal(JSON.parse((await dw(['schema', name, '--json'])).stdout).$id, `dw.${name}/v1`)
    }
})

test('R26: the steps of the guide take a file to its results: check, submit, wait, diagnose, retry, download', async () => {
  writeFileSync(
    sandbox.path('requests.jsonl'),
    jsonl([1, 2, 3].map((number) => chatLine(number, { model: 'test' }))),
  )
  const known = { batch: '' }
  const step = async (title: string): Promise<CommandResult[]> => {
    const found = agentSteps.find((one) => one.title === title)
    assert.ok(found !== undefined, title)
    const results: CommandResult[] = []
    for (const command of found.commands) {
      const words = plainWords(command.replace('BATCH_ID', known.batch))
      assert.ok(words !== null, command)
      results.push(await dw(words))
    }
    return results
  }
  type Batch = { id: string; status: string; request_counts: { failed: number } }
  const objectOf = <T>(result: CommandResult | undefined): T => JSON.parse(result?.stdout ?? '') as T

  const [checked] = await step('Check')
  assert.equal(checked?.exitCode, 0)
  assert.equal(objectOf<{ valid: boolean }>(checked).valid, true)

  const [submitted] = await step('Submit')
  assert.equal(submitted?.exitCode, 0)
  known.batch = objectOf<Batch>(submitted).id

  const [waited] = await step('Wait')
  assert.equal(waited?.exitCode, 3)
  const batch = objectOf<Batch>(waited)
  assert.deepEqual([batch.status, batch.request_counts.failed], ['completed', 1])

  const [grouped, diagnosed] = await step('Diagnose')
  assert.equal(objectOf<{ count: number }>(grouped).count, 1)
  assert.deepEqual(
    parseLines(diagnosed?.stdout ?? '').map((line) => line.custom_id),
    ['request-2'],
  )

  isMended = true
  const [retried] = await step('Retry')
  assert.equal(retried?.exitCode, 0)
  known.batch = objectOf<Batch>(retried).id
  assert.equal((await step('Wait'))[0]?.exitCode, 0)

  const [downloaded] = await step('Download')
  assert.equal(downloaded?.exitCode, 0)
  assert.deepEqual(
    parseLines(readFileSync(sandbox.path('results.jsonl'), 'utf8')).map((line) => line.custom_id),
    ['request-2'],
  )
})

test('R26: an agent gets no control codes, no question and no words on standard output', async () => {
  for (const words of [
    ['help'],
    ['batches', 'list'],
    ['batches', 'run', '--help'],
    ['files', 'delete', 'file-x'],
  ]) {
    const { stdout, stderr } = await dw(words)
    assert.ok(!`${stdout}${stderr}`.includes('\u001b'), words.join(' '))
  }
})
