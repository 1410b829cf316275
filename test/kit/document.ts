/** Runs every `dw` line of the document that describes the program, as it is written there. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { batchWhen, createBatch, endedStatuses, uploadFile } from './batch-api.ts'
import { chatLine, jsonl } from './requests.ts'
import { createGate, errorReply, startScriptedUpstream } from './scripted-upstream.ts'
import {
  createSandbox,
  dwPath,
  run,
  runDw,
  runOnTerminal,
  type Sandbox,
  type ServerProcess,
  startServerProcess,
  withPathFirst,
} from './server-process.ts'

/** One is the file's own; the other is what the document overrides it with. */
const MODELS = ['test', 'Qwen/Qwen3-VL-235B-A22B-Instruct-FP8']

/** The commands in the code blocks, in order. The text has lost its line breaks: a command ends where a comment or the next one begins. */
export function dwLines(text: string): string[] {
  const blocks = [...text.matchAll(/```bash\s(.*?)```/gs)].map((match) => match[1] ?? '')
  return blocks.flatMap((block) =>
    [...block.matchAll(/(?<=^|\s)dw (?:batches|files) .*?(?=\s+(?:#|dw (?:batches|files) )|\s*$)/gs)].map(
      (match) => match[0].trim(),
    ),
  )
}

export type Place = 'pipe' | 'terminal'

type Running = { sandbox: Sandbox; server: ServerProcess; env: NodeJS.ProcessEnv }

/**
 * Runs the lines in order against a server and an upstream of their own, with `dw` on the PATH and this Node first on it.
 * @throws AssertionError naming the line that did not end as it should, with what it printed
 */
export async function workThroughDocument(
  lines: readonly string[],
  options: { place: Place; nodePath: string },
): Promise<void> {
  const gate = createGate()
  const upstream = await startScriptedUpstream({
    models: MODELS,
    script: (call) => {
      const body = call.body.toString('utf8')
      if (body.includes('please fail')) return errorReply(400, { code: 'content_filter' })
      return body.includes('please wait') ? { gate: gate.opened, breakAt: 'reset' } : null
    },
  })
  const sandbox = createSandbox()
  let server: ServerProcess | null = null
  try {
    server = await startServerProcess(sandbox, ['--no-sim'])
    const words = ['upstream', 'add', upstream.url, '--concurrency', '16', '--server', server.url]
    assert.equal((await runDw(words, { cwd: sandbox.folder, env: sandbox.env })).exitCode, 0)
    writeInputs(sandbox)
    const env = withPathFirst(sandbox.env, commandFolder(sandbox, options.nodePath))
    await runAll({ sandbox, server, env }, lines, options.place)
  } finally {
    await server?.kill('SIGKILL')
    gate.open()
    await upstream.stop()
    sandbox.remove()
  }
}

/** A folder that holds nothing but the links `dw` and `node`. */
function commandFolder(sandbox: Sandbox, nodePath: string): string {
  const folder = sandbox.path('bin')
  mkdirSync(folder)
  symlinkSync(dwPath, join(folder, 'dw'))
  symlinkSync(nodePath, join(folder, 'node'))
  return folder
}

/** The files that the document names, one request of each failing. */
function writeInputs(sandbox: Sandbox): void {
  const requests = [1, 2, 3].map((number) => chatLine(number, { model: 'test' }))
  const failing = chatLine(4, { model: 'test', content: 'please fail' })
  writeFileSync(sandbox.path('batch.jsonl'), jsonl([...requests, failing]))
  mkdirSync(sandbox.path('output'))
  writeFileSync(sandbox.path('output/a.jsonl'), jsonl(requests))
  writeFileSync(sandbox.path('output/b.jsonl'), jsonl(requests))
}

/** What a command must end with: 3, because one request of each file failed on purpose. */
function expectedExit(line: string, place: Place): number {
  if (line === 'dw batches run output/ --watch') return 0
  if (line.includes('--watch') || /^dw batches (watch|results)/.test(line)) return 3
  // Nobody can answer the question in a pipe.
  return line === 'dw batches cancel batch-abc123' && place === 'pipe' ? 2 : 0
}

async function runAll(running: Running, lines: readonly string[], place: Place): Promise<void> {
  const { sandbox, server, env } = running
  const uploaded = await uploadFile(server.url, sandbox.path('batch.jsonl'))
  const endedIds = []
  for (let count = 0; count < 3; count += 1) endedIds.push((await createBatch(server.url, uploaded)).id)
  for (const id of endedIds) await batchWhen(server.url, id, (batch) => endedStatuses.has(batch.status))
  writeFileSync(sandbox.path('.batch-id'), `${endedIds.join('\n')}\n`)

  for (const line of lines) {
    const isCancel = line.startsWith('dw batches cancel')
    const ids = isCancel ? [await waitingBatch(running)] : endedIds
    const command = withIds(line, { fileId: uploaded, ids })
    const ended = await execute(command, { place, cwd: sandbox.folder, env })
    assert.equal(ended.exitCode, expectedExit(line, place), `${place}: ${command}\n${ended.text}`)
    if (isCancel) await assertCancelled(running, ids[0] ?? '', ended.exitCode === 0)
    // Written anew by each line that names it.
    if (line.includes('results.jsonl'))
      assert.ok(readFileSync(sandbox.path('results.jsonl'), 'utf8').includes('request-1'))
  }
  const ids = readFileSync(sandbox.path('batch-ids.txt'), 'utf8').trim().split('\n')
  assert.equal(ids.length, 2)
  assert.ok(ids.every((id) => id.startsWith('batch_')))
}

/** Only ids are replaced. */
function withIds(line: string, made: { fileId: string; ids: readonly string[] }): string {
  const [first = '', second = '', third = ''] = made.ids
  const names: Record<string, string> = {
    'file-abc123': made.fileId,
    'batch-abc123': first,
    'batch-def456': second,
    'batch-ghi789': third,
    id1: first,
    id2: second,
    id3: third,
  }
  return line
    .split(' ')
    .map((word) => names[word] ?? word)
    .join(' ')
}

/** A batch whose one request is held by the upstream. */
async function waitingBatch({ sandbox, server }: Running): Promise<string> {
  const path = sandbox.path('waiting.jsonl')
  writeFileSync(path, jsonl([chatLine(1, { model: 'test', content: 'please wait' })]))
  const { id } = await createBatch(server.url, await uploadFile(server.url, path))
  await batchWhen(server.url, id, (batch) => batch.status === 'in_progress')
  return id
}

async function assertCancelled({ server }: Running, id: string, isExpected: boolean): Promise<void> {
  const batch = await batchWhen(server.url, id, () => true)
  assert.equal(batch.status.startsWith('cancell'), isExpected, `${id} is ${batch.status}`)
}

async function execute(
  command: string,
  how: { place: Place; cwd: string; env: NodeJS.ProcessEnv },
): Promise<{ exitCode: number; text: string }> {
  const { cwd, env } = how
  if (how.place === 'terminal') {
    const answers = [{ prompt: /cancel.*\?/is, type: 'y\r' }]
    const { exitCode, output } = await runOnTerminal('sh', ['-c', command], { cwd, env, answers })
    return { exitCode, text: output }
  }
  const { exitCode, stdout, stderr } = await run('sh', ['-c', command], { cwd, env })
  // In a pipe data is JSON by the line, or result lines; words and bars stay on stderr.
  assert.ok(!stdout.includes('\u001b'), `no control codes in a pipe: ${command}`)
  for (const line of stdout.split('\n').filter((text) => text !== '')) JSON.parse(line)
  return { exitCode, text: stdout + stderr }
}
