/** What a person and a program read when a server refuses, fails, or is not there: asked by the real command line, over real sockets. */
import assert from 'node:assert/strict'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { after, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { errorReport } from '../src/cli/error-report.ts'
import { jsonSchemaOf } from '../src/cli/schemas/schemas.ts'
import { UnreachableError } from '../src/client/client.ts'
import { startDwRunner } from './kit/dw-runner.ts'
import { type CommandResult, createSandbox, projectFolder } from './kit/server-process.ts'

type Reply = { status: number; headers?: Record<string, string>; body?: unknown }

const sandbox = createSandbox()
const runner = startDwRunner()
let reply: Reply = { status: 200 }
let asked: { url: string; headers: IncomingHttpHeaders }[] = []
const server = createServer((request, response) => {
  asked.push({ url: request.url ?? '', headers: request.headers })
  const { status, headers, body } = reply
  response.writeHead(status, { 'x-request-id': 'req_test', 'retry-after-ms': '1', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body ?? {}))
})
/** Ends every handshake: it has no certificate. */
const tls = createTlsServer()
const [url, tlsUrl] = await Promise.all([listen(server), listen(tls)])
after(async () => {
  await runner.stop()
  for (const one of [server, tls]) one.close()
  server.closeAllConnections()
  sandbox.remove()
})

function listen(one: ReturnType<typeof createTcpServer>): Promise<string> {
  return new Promise((resolve) => {
    one.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${(one.address() as AddressInfo).port}`))
  })
}

function dw(words: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<CommandResult> {
  asked = []
  return runner.run(words, { cwd: sandbox.folder, env: { ...sandbox.env, ...more } })
}

const oneError = { message: 'It cannot be so.', type: 'invalid_request_error', param: null, code: null }
const errorSchema = new Ajv2020({ strict: false }).compile(jsonSchemaOf('error'))

/** Of a JSON error the object, held against the published schema. */
function errorOf({
  stdout,
  stderr,
}: CommandResult): Record<string, unknown> & { next: { command: string }[] } {
  assert.equal(stdout, '')
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr)
  const parsed = JSON.parse(stderr) as { error: ReturnType<typeof errorOf> }
  assert.ok(errorSchema(parsed), JSON.stringify(errorSchema.errors))
  return parsed.error
}

const statuses: readonly { status: number; code: string; exit: number; tries: number; retryable: boolean }[] =
  [
    { status: 400, code: 'http_400', exit: 2, tries: 1, retryable: false },
    { status: 401, code: 'http_401', exit: 4, tries: 1, retryable: false },
    { status: 403, code: 'http_403', exit: 4, tries: 1, retryable: false },
    // The list is asked as well, for the nearest id.
    { status: 404, code: 'http_404', exit: 5, tries: 2, retryable: false },
    { status: 409, code: 'http_409', exit: 1, tries: 4, retryable: false },
    { status: 418, code: 'http_418', exit: 2, tries: 1, retryable: false },
    { status: 429, code: 'http_429', exit: 10, tries: 4, retryable: true },
    { status: 500, code: 'http_500', exit: 9, tries: 4, retryable: true },
    { status: 503, code: 'http_503', exit: 9, tries: 4, retryable: true },
  ]
for (const { status, code, exit, tries, retryable } of statuses) {
  test(`R10: a ${status} shows the server's words, the request id, the page and what to run`, async () => {
    reply = { status, body: { error: oneError } }
    const words = ['batches', 'get', 'batch_a', '--server', `http://${url}`]
    const human = await dw(words)
    assert.equal(human.exitCode, exit, human.stderr)
    assert.equal(asked.length, tries)
    const lines = human.stderr.trimEnd().split('\n')
    assert.equal(lines[0], `error[${code}]: It cannot be so.`)
    assert.ok(lines.length <= 5, human.stderr)
    assert.match(lines.at(-1) ?? '', /^ {2}request id req_test {2}docs docs\/errors\/http_\w+\.md$/)
    const machine = await dw([...words, '--json'])
    assert.equal(machine.exitCode, exit)
    const error = errorOf(machine)
    const facts = { code, message: 'It cannot be so.', request_id: 'req_test', status, retryable }
    for (const [name, value] of Object.entries(facts)) assert.equal(error[name], value, name)
    for (const { command } of error.next) assert.match(command, /^dw [a-z]/)
  })
}

test('R10: the next command names the server that a flag named, and runs as it stands', async () => {
  reply = { status: 404, body: { error: oneError } }
  const { stderr } = await dw(['files', 'get', 'file-a', '--server', `http://${url}`])
  const next = /^ {2}try: dw (.*)$/m.exec(stderr)?.[1] ?? ''
  assert.equal(next, `files list --server http://${url}`)
  reply = { status: 200, body: { object: 'list', data: [], has_more: false } }
  assert.equal((await dw(next.split(' '))).exitCode, 0)
})

test('R10: a 401 says how to store a key, and no key is shown', async () => {
  reply = { status: 401, body: { error: { ...oneError, code: 'invalid_api_key' } } }
  const key = 'sk-tested-0123456789abcdef'
  const env = { DW_SERVER: `http://${url}`, DW_API_KEY: key }
  const human = await dw(['models', 'list'], env)
  assert.equal(asked[0]?.headers.authorization, `Bearer ${key}`)
  assert.match(human.stderr, /error\[invalid_api_key\]: It cannot be so\./)
  assert.match(human.stderr, new RegExp(`try: dw login http://${url}`))
  const machine = await dw(['models', 'list', '--json'], env)
  assert.ok(!(human.stderr + machine.stderr).includes(key))
})

test('R10: an answer that is no JSON is told as what it is', async () => {
  reply = { status: 404, body: '<html><title>Welcome</title></html>' }
  const { stderr } = await dw(['models', 'list', '--server', `http://${url}`])
  assert.match(stderr, /^error\[http_404\]: status 404: an HTML page: is this the address of an API\?/)
})

test('R10: nobody there, an unknown host and a failed handshake have codes and causes of their own', async () => {
  const free = createTcpServer()
  const closed = await listen(free)
  await new Promise((resolve) => free.close(resolve))
  const cases = [
    {
      address: `http://${closed}`,
      code: 'unreachable',
      says: /the connection was refused \(ECONNREFUSED\)/,
      next: 'dw serve',
    },
    {
      address: 'http://host.invalid',
      code: 'dns_failed',
      says: /the name of the host is not known/,
      next: 'dw config show --server http://host.invalid',
    },
    {
      address: `https://${tlsUrl}`,
      code: 'tls_failed',
      says: /it does not speak TLS as expected/,
      next: `dw config show --server https://${tlsUrl}`,
    },
    {
      address: `https://${url}`,
      code: 'tls_failed',
      says: /it does not speak TLS as expected/,
      next: `dw config show --server https://${url}`,
    },
  ]
  for (const { address, code, says, next } of cases) {
    const result = await dw(['models', 'list', '--server', address, '--json'])
    assert.equal(result.exitCode, 9)
    const error = errorOf(result)
    assert.equal(error.code, code)
    assert.match(String(error.message), says)
    assert.equal(error.request_id, null)
    assert.equal(error.next[0]?.command, next)
  }
})

test('a certificate that is not trusted is not asked about again, a lost connection is', () => {
  const failed = (code: string): unknown =>
    Object.assign(new TypeError('fetch failed'), { cause: Object.assign(new Error(code), { code }) })
  const codes = {
    DEPTH_ZERO_SELF_SIGNED_CERT: 'tls_failed',
    SELF_SIGNED_CERT_IN_CHAIN: 'tls_failed',
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'tls_failed',
    CERT_HAS_EXPIRED: 'tls_failed',
    ERR_TLS_CERT_ALTNAME_INVALID: 'tls_failed',
    ENOTFOUND: 'dns_failed',
    EAI_AGAIN: 'dns_failed',
    UND_ERR_HEADERS_TIMEOUT: 'timed_out',
    ECONNRESET: 'unreachable',
    EHOSTUNREACH: 'unreachable',
  }
  for (const [name, code] of Object.entries(codes)) {
    const error = new UnreachableError('http://a', failed(name))
    assert.equal(error.code, code)
    assert.match(error.message, new RegExp(name))
  }
})

test('R10: the same command again is offered where that may help, and never with a secret in it', () => {
  const thrown = new UnreachableError('http://127.0.0.1:1', new TypeError('fetch failed'))
  const next = (words: readonly string[]): string[] =>
    errorReport(thrown, { words, path: null }).next.map(({ command }) => command)
  assert.ok(next(['files', 'upload', 'my file.jsonl']).includes("dw files upload 'my file.jsonl'"))
  assert.deepEqual(
    next(['batches', 'create', '--file', 'file-a']).filter((one) => one.includes('create')),
    [],
  )
  for (const secret of [['--api-key', 'x'], ['--upstream-key=x'], ['sk-abc'], ['dw_abcdefgh']])
    assert.ok(!next(['login', ...secret]).some((command) => command.includes('login')), secret.join(' '))
})

test('R10: wrong words are an error of the same shape, in words and as JSON', async () => {
  for (const words of [
    ['batchs', 'list'],
    ['batches', 'list', '--frobnicate'],
    ['files', 'get'],
  ]) {
    const human = await dw(words)
    assert.equal(human.exitCode, 2)
    assert.match(human.stderr, /^error\[usage\]: .*\n(.*\n)*? {2}docs docs\/errors\/usage\.md\n$/)
    assert.ok(human.stderr.trimEnd().split('\n').length <= 5)
    const machine = await dw([...words, '--json'])
    assert.equal(machine.exitCode, 2)
    assert.equal(errorOf(machine).code, 'usage')
  }
  assert.match((await dw(['files', 'get'])).stderr, /try: dw files get --help/)
})

test('R10: what fails alike is told once, with its number and the first of them', async () => {
  reply = { status: 404, body: { error: oneError } }
  const ids = Array.from({ length: 40 }, (_, number) => `batch_${number}`)
  const result = await dw(['batches', 'watch', ...ids, '--server', `http://${url}`, '--progress', 'none'])
  assert.equal(result.exitCode, 5)
  assert.equal(result.stderr.match(/It cannot be so/g)?.length, 1)
  assert.match(result.stderr, /^batch_0 and 39 others: error\[http_404\]: It cannot be so\.$/m)
})

test('an error of the machine leads to its page as well', async () => {
  const { stderr, exitCode } = await dw(['files', 'stats', projectFolder, '--json'])
  assert.notEqual(exitCode, 0)
  assert.match(stderr, /docs\/errors\//)
})
