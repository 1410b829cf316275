/** A program that works for a person gets what it can read: no colour, bars, questions or pager, and commands to go on with. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { agentOf } from '../src/cli/agent.ts'
import { createSandbox, dwPath, runOnTerminal } from './kit/server-process.ts'

const batch = {
  id: 'batch_a',
  object: 'batch',
  endpoint: '/v1/chat/completions',
  status: 'completed',
  input_file_id: 'file-a',
  output_file_id: 'file-b',
  error_file_id: 'file-c',
  completion_window: '24h',
  created_at: 1,
  completed_at: 2,
  request_counts: { total: 3, completed: 2, failed: 1 },
}
const sandbox = createSandbox()
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  const found = pathname === '/v1/batches/batch_a'
  response.writeHead(found ? 200 : 404, { 'content-type': 'application/json', 'x-request-id': 'req_a' })
  response.end(
    JSON.stringify(found ? batch : { error: { message: `No such thing: ${pathname}`, code: null } }),
  )
})
await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
after(() => {
  server.closeAllConnections()
  server.close()
  sandbox.remove()
})

/** As an agent runs it that gives its commands a terminal. */
async function asAgent(words: readonly string[]): Promise<{ exitCode: number; lines: string[] }> {
  const env = { ...sandbox.env, AI_AGENT: 'x', DW_SERVER: address, PAGER: 'cat >/dev/null; echo PAGED' }
  const { exitCode, output } = await runOnTerminal(process.execPath, [dwPath, ...words], { env })
  assert.doesNotMatch(output, /[^\P{Cc}\r\n]/u, 'no control characters')
  const plain = output.replaceAll(/\d\d:\d\d:\d\d/g, 'HH:MM:SS')
  return { exitCode, lines: plain.trimEnd().split('\r\n') }
}

test('R26: an agent on a terminal gets JSON, plain lines, and the commands that lead on', async () => {
  const { exitCode, lines } = await asAgent(['batches', 'watch', 'batch_a'])
  assert.equal(exitCode, 3)
  const data = lines.findIndex((line) => line.startsWith('{'))
  assert.deepEqual(JSON.parse(lines[data] ?? ''), batch)
  assert.deepEqual(lines.slice(0, data), [
    'HH:MM:SS batch_a no answer yet',
    'HH:MM:SS batch_a completed 3/3 (100%) failed=1',
  ])
  const next = lines.indexOf('Next:')
  assert.ok(next > data, lines.join('\n'))
  assert.equal(lines[next + 1], '  dw batches results batch_a -o results.jsonl')
})

test('R26: an error tells an agent what to run next', async () => {
  const { exitCode, lines } = await asAgent(['files', 'get', 'file-x'])
  assert.equal(exitCode, 5)
  assert.deepEqual(lines, [
    'error[http_404]: No such thing: /v1/files/file-x',
    '  `dw batches list` and `dw files list` show what there is.',
    '  try: dw files list',
    '  request id req_a  docs docs/errors/http_404.md',
  ])
})

test('R26: nothing is asked of an agent, also on a terminal', async () => {
  const { exitCode, lines } = await asAgent(['batches', 'cancel', 'batch_a'])
  assert.equal(exitCode, 2)
  assert.match(lines.join('\n'), /--yes/)
})

test('R26: agents are found by the variables they set; DW_AGENT decides over them', () => {
  const found = (env: NodeJS.ProcessEnv): string | null => agentOf(env)
  assert.equal(found({}), null)
  assert.equal(found({ AI_AGENT: 'x' }), 'x')
  assert.equal(found({ CLAUDECODE: '1' }), 'claude-code')
  assert.equal(found({ CODEX_SANDBOX: 'seatbelt' }), 'codex')
  assert.equal(found({ CODEX_SANDBOX_NETWORK_DISABLED: '1' }), 'codex')
  assert.equal(found({ CURSOR_AGENT: '1' }), 'cursor')
  assert.equal(found({ GEMINI_CLI: '1' }), 'gemini-cli')
  assert.equal(found({ GEMINI_CLI: '' }), null)
  assert.equal(found({ CLAUDECODE: '0' }), null)
  assert.equal(found({ CLAUDECODE: '1', DW_AGENT: '0' }), null)
  assert.equal(found({ DW_AGENT: 'mine' }), 'mine')
  // A folder of settings says nothing of who runs the command.
  assert.equal(found({ CODEX_HOME: '/home/a/.codex' }), null)
})
