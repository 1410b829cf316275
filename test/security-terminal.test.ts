/** What a server, a model or a file says is shown on a terminal without obeying it; a pipe gets every byte as it is. */
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { printable, printableJson } from '../src/cli/printable.ts'
import { createSandbox, dwPath, runDw, runOnTerminal } from './kit/server-process.ts'

/** Writes to the clipboard, sets the title, clears the screen, hides what follows, in seven bits and in eight. */
const EVIL = 'a\u001b]52;c;ZXZpbA==\u0007b\u001b]0;title\u001b\\c\u001b[2Jd\u009b8me\u007ff\rg\bh\u202ei'
const OBEYED = ['\u001b]', '\u001b[2J', '\u009b', '\u0007', '\u202e', '\b', '\u001b\\']
const isObeyed = (text: string): boolean => OBEYED.some((command) => text.includes(command))

const sandbox = createSandbox()
const file = {
  id: 'file-a',
  object: 'file',
  bytes: 1,
  created_at: 1,
  filename: `${EVIL}.jsonl`,
  purpose: 'batch',
  status: 'processed',
}
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost')
  const send = (status: number, body: unknown): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  if (pathname === '/v1/files') send(200, { object: 'list', data: [file], has_more: false })
  else if (pathname === '/v1/files/file-a') send(200, file)
  else if (pathname === '/v1/files/file-a/content') response.end(`${EVIL}\n`)
  else send(404, { error: { message: `no ${EVIL}`, type: EVIL, param: EVIL, code: 'not_here' } })
})
await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
const target = ['--server', `http://127.0.0.1:${(server.address() as AddressInfo).port}`]
after(() => {
  server.closeAllConnections()
  server.close()
  sandbox.remove()
})

const commands: Record<string, string[]> = {
  'a table of files': ['files', 'list', '--output', 'table'],
  'files as plain text': ['files', 'list', '--output', 'plain'],
  'files as JSON': ['files', 'list', '--output', 'json'],
  'one file': ['files', 'get', 'file-a'],
  'the bytes of a file': ['files', 'content', 'file-a'],
  'an error message': ['batches', 'get', 'batch_a'],
  'an error as JSON': ['batches', 'get', 'batch_a', '--json'],
}
for (const [what, words] of Object.entries(commands)) {
  test(`${what} commands no terminal`, async () => {
    const all = [dwPath, ...words, ...target]
    const { output } = await runOnTerminal(process.execPath, all, { env: sandbox.env })
    assert.match(output, /52;c;ZXZpbA==/, 'the words are shown')
    assert.ok(!isObeyed(output))
  })
}

test('a pipe gets the bytes as they are', async () => {
  const { stdout } = await runDw(['files', 'content', 'file-a', ...target], { env: sandbox.env })
  assert.equal(stdout, `${EVIL}\n`)
  const listed = await runDw(['files', 'list', ...target], { env: sandbox.env })
  assert.equal(JSON.parse(listed.stdout).filename, file.filename)
})

test('words keep their lines, their letters and our own bold; nothing else commands', () => {
  const words = 'one\r\n\ttwo \u001b[1mbold\u001b[22m café 漢字 👩‍💻'
  assert.equal(printable(words), words.replace('\r', ''))
  assert.ok(!isObeyed(printable(EVIL)))
  assert.equal(JSON.parse(printableJson({ EVIL })).EVIL, EVIL)
  assert.ok(!isObeyed(printableJson(EVIL)))
})
