/** R20: engines are added by preset or address, tested before they are kept, and each way to fail has its own words. */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { scan } from '../src/cli/commands/upstream-scan.ts'
import { startDwRunner } from './kit/dw-runner.ts'
import { type CommandResult, createSandbox, startServerProcess } from './kit/server-process.ts'

type Engine = {
  /** Models as this engine lists them, or any other body. */
  list: unknown
  /** Before `/models` and `/chat/completions`; anything else is a 404. */
  base?: string
  key?: string
  /** The key is demanded for calls alone. */
  hasOpenList?: boolean
  html?: boolean
  /** The limit of tokens has only its newer name. */
  isNewer?: boolean
  /** What calls end in. */
  refuses?: (model: string) => number
}

type Running = { url: string; port: number; calls: { path: string; body: Record<string, unknown> }[] }

const servers: Server[] = []
const sandbox = createSandbox()
const server = await startServerProcess(sandbox, ['--no-sim'])
const runner = startDwRunner()
after(async () => {
  await Promise.all([runner.stop(), server.kill('SIGTERM')])
  for (const engine of servers) engine.close().closeAllConnections()
  sandbox.remove()
})

async function startEngine(engine: Engine): Promise<Running> {
  const calls: Running['calls'] = []
  const http = createServer((request, response) => void handle(engine, calls, request, response))
  servers.push(http)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  // A listening TCP server has an address with a port.
  const { port } = http.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, port, calls }
}

async function handle(
  engine: Engine,
  calls: Running['calls'],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (status: number, body: unknown, type = 'application/json'): void =>
    void response
      .writeHead(status, { 'content-type': type })
      .end(type === 'text/html' ? body : JSON.stringify(body))
  const refuse = (status: number, message: string): void =>
    send(status, { error: { message, type: 'x', code: null } })
  let text = ''
  for await (const chunk of request) text += String(chunk)
  if (engine.html === true) return send(200, '<!doctype html><title>Router</title>', 'text/html')
  const base = engine.base ?? '/v1'
  const isList = request.method === 'GET' && request.url === `${base}/models`
  const isOpen = engine.key === undefined || (isList && engine.hasOpenList === true)
  if (!isOpen && request.headers.authorization !== `Bearer ${engine.key}`) return refuse(401, 'who are you?')
  if (isList) return send(200, engine.list)
  const isCall = request.url === `${base}/chat/completions` || request.url === `${base}/embeddings`
  if (request.method !== 'POST' || !isCall) return refuse(404, `no ${request.url}`)
  const body: Record<string, unknown> = JSON.parse(text)
  calls.push({ path: request.url ?? '', body })
  const status = engine.refuses?.(String(body.model)) ?? 200
  if (status !== 200) return refuse(status, `${String(body.model)} is no chat model`)
  if (engine.isNewer === true && 'max_tokens' in body)
    return refuse(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
  send(200, { id: 'x', object: 'chat.completion', choices: [] })
}

const dw = (words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandResult> =>
  runner.run([...words, '--server', server.url], { cwd: sandbox.folder, env: { ...sandbox.env, ...env } })

type Added = { exitCode: number; name: string; url: string; models: string[]; stderr: string }

async function add(words: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Added> {
  const { exitCode, stdout, stderr } = await dw(['upstream', 'add', ...words, '--json'], env)
  return { exitCode, stderr, name: '', url: '', models: [], ...(stdout === '' ? {} : JSON.parse(stdout)) }
}

const listOf = (...ids: string[]): unknown => ({
  object: 'list',
  data: ids.map((id) => ({ id, object: 'model' })),
})

/** What the engines themselves answer to `/v1/models`. */
const lists: Record<string, { list: unknown; models: string[] }> = {
  vllm: {
    list: {
      object: 'list',
      data: [
        {
          id: 'Qwen/Qwen3-8B',
          object: 'model',
          created: 1_760_000_000,
          owned_by: 'vllm',
          root: 'Qwen/Qwen3-8B',
          parent: null,
          max_model_len: 40_960,
          permission: [{ id: 'modelperm-1', object: 'model_permission', allow_sampling: true }],
        },
      ],
    },
    models: ['Qwen/Qwen3-8B'],
  },
  ollama: {
    list: {
      object: 'list',
      data: [
        { id: 'nomic-embed-text:latest', object: 'model', created: 1_760_000_000, owned_by: 'library' },
        { id: 'llama3.2:latest', object: 'model', created: 1_760_000_000, owned_by: 'library' },
      ],
    },
    models: ['nomic-embed-text:latest', 'llama3.2:latest'],
  },
  llamacpp: {
    list: {
      models: [
        {
          name: '/models/gemma.gguf',
          model: '/models/gemma.gguf',
          type: 'model',
          capabilities: ['completion'],
        },
      ],
      object: 'list',
      data: [
        {
          id: '/models/gemma.gguf',
          object: 'model',
          created: 1_760_000_000,
          owned_by: 'llamacpp',
          meta: { n_ctx: 4096 },
        },
      ],
    },
    models: ['/models/gemma.gguf'],
  },
  lmstudio: {
    list: {
      data: [
        { id: 'qwen2.5-7b-instruct', object: 'model', owned_by: 'organization_owner' },
        { id: 'text-embedding-nomic-embed-text-v1.5', object: 'model', owned_by: 'organization_owner' },
      ],
      object: 'list',
    },
    models: ['qwen2.5-7b-instruct', 'text-embedding-nomic-embed-text-v1.5'],
  },
}

for (const [name, { list, models }] of Object.entries(lists)) {
  test(`R20: ${name} is found, asked for one token, and added`, async () => {
    const engine = await startEngine({ list })
    const added = await add([engine.url, '--name', name])
    assert.equal(added.exitCode, 0, added.stderr)
    assert.equal(added.url, `${engine.url}/v1`)
    assert.deepEqual(added.models, models)
    const [call, ...more] = engine.calls
    assert.deepEqual([call?.path, call?.body.max_tokens, more.length], ['/v1/chat/completions', 1, 0])
    assert.doesNotMatch(String(call?.body.model), /embed/, 'a model that chats is asked to chat')
    assert.match(added.stderr, new RegExp(`next: dw batches run requests.jsonl --model ${models[0]} --watch`))
  })
}

test('R20: an address works with and without /v1, without its scheme, and where the API stands at the root', async () => {
  const engine = await startEngine({ list: listOf('m') })
  for (const [place, text] of [
    `${engine.url}/v1`,
    `${engine.url}/v1/models`,
    `127.0.0.1:${engine.port}`,
  ].entries())
    assert.equal((await add([text, '--name', `same-${place}`])).url, `${engine.url}/v1`)
  const root = await startEngine({ list: listOf('m'), base: '' })
  assert.equal((await add([root.url, '--name', 'root'])).url, root.url)
})

test('R20: a wrong port, a key, a web page, another API and no models are five different errors, and nothing is kept', async () => {
  const closed = await startEngine({ list: null })
  servers.pop()?.close()
  const locked = await startEngine({ list: listOf('m'), key: 'sk-right' })
  const halfOpen = await startEngine({ list: listOf('m'), key: 'sk-right', hasOpenList: true })
  const page = await startEngine({ list: null, html: true })
  const other = await startEngine({ list: { tags: [] } })
  const empty = await startEngine({ list: listOf() })
  const deaf = await startEngine({ list: listOf('m'), refuses: () => 400 })
  const before = await dw(['upstream', 'list', '--json'])
  const seen: Record<string, string> = {}
  for (const [engine, code, exitCode, words] of [
    [closed, 'upstream_unreachable', 9, /ECONNREFUSED.*Is the engine running, and is this its port/s],
    [locked, 'upstream_unauthorized', 4, /demands a key: 401.*--key-env VARIABLE/s],
    [halfOpen, 'upstream_unauthorized', 4, /demands a key: 401/],
    [page, 'upstream_web_page', 6, /A web server answers there/],
    [other, 'upstream_no_api', 6, /no OpenAI-compatible list of models/],
    [empty, 'upstream_no_models', 6, /lists no models: load one/],
    [
      deaf,
      'upstream_test_failed',
      6,
      /refused a call of one token to 'm': 400.*is no chat model.*--no-test/s,
    ],
  ] as const) {
    const { exitCode: found, stderr } = await dw(['upstream', 'add', engine.url])
    assert.match(stderr, new RegExp(`error\\[${code}\\]`))
    assert.match(stderr, words)
    assert.equal(found, exitCode, code)
    seen[code] = stderr
  }
  assert.equal(Object.keys(seen).length, 6)
  assert.equal((await dw(['upstream', 'list', '--json'])).stdout, before.stdout)
  const wrong = await dw(['upstream', 'add', locked.url, '--key-env', 'MY_KEY'], {
    MY_KEY: 'sk-wrong-but-secret',
  })
  assert.match(wrong.stderr, /refuses this key.*still valid\?/s)
  assert.doesNotMatch(wrong.stderr, /sk-wrong/)
  assert.equal(
    (await add([locked.url, '--name', 'locked', '--key-env', 'MY_KEY'], { MY_KEY: 'sk-right' })).exitCode,
    0,
  )
})

test('R20: --no-test keeps what does not answer, --models tests what is named, and a newer name of the limit is used', async () => {
  const { exitCode, stderr } = await add(['http://127.0.0.1:1/v1', '--name', 'later', '--no-test'])
  assert.equal(exitCode, 0)
  assert.match(stderr, /Added without a test; it does not answer yet: .*ECONNREFUSED/)
  const engine = await startEngine({
    list: listOf('image-1', 'chat-1', 'chat-2'),
    isNewer: true,
    refuses: (model) => (model === 'chat-1' ? 404 : 200),
  })
  const named = await add([engine.url, '--name', 'named', '--models', 'chat-2'])
  assert.equal(named.exitCode, 0, named.stderr)
  assert.deepEqual(
    engine.calls.map(({ body }) => body.model),
    ['chat-2', 'chat-2'],
  )
  assert.match(
    (await add([engine.url, '--models', 'chat-2,chat-9'])).stderr,
    /does not list the model 'chat-9'/,
  )
  assert.match((await add([engine.url, '--models', 'chat-1'])).stderr, /upstream_test_failed/)
})

test('R20: a preset brings its address, variable and concurrency; a mistyped one its nearest', async () => {
  const unset = await dw(['upstream', 'add', 'groq'])
  assert.equal(unset.exitCode, 2)
  assert.match(unset.stderr, /GROQ_API_KEY is not set here/)
  const mistyped = await dw(['upstream', 'add', 'olama'])
  assert.equal(mistyped.exitCode, 2)
  assert.match(mistyped.stderr, /did you mean: ollama/)
  const added = await dw(['upstream', 'add', 'lmstudio', '--no-test', '--name', 'studio', '--json'])
  assert.deepEqual((({ name, url, concurrency }) => ({ name, url, concurrency }))(JSON.parse(added.stdout)), {
    name: 'studio',
    url: 'http://localhost:1234/v1',
    concurrency: 2,
  })
})

test('R20: a scan finds engines at the addresses of presets, and tells web pages, our own server and closed ports apart', async () => {
  const [open, locked, page] = await Promise.all([
    startEngine({ list: listOf('m') }),
    startEngine({ list: listOf('m'), key: 'k' }),
    startEngine({ list: null, html: true }),
  ])
  const presets = [
    { name: 'open', url: `http://localhost:${open.port}/v1` },
    { name: 'locked', url: `${locked.url}/v1` },
    { name: 'page', url: `${page.url}/v1` },
    { name: 'ours', url: `${server.url}/v1` },
    { name: 'closed', url: 'http://127.0.0.1:1/v1' },
  ]
  const known = [{ name: 'mine', url: `${open.url}/v1` }]
  assert.deepEqual(await scan(presets, { known, signal: new AbortController().signal }), [
    {
      preset: 'open',
      url: `http://localhost:${open.port}/v1`,
      state: 'found',
      models: ['m'],
      added_as: 'mine',
    },
    { preset: 'locked', url: `${locked.url}/v1`, state: 'locked', models: [], added_as: null },
    ...presets
      .slice(2)
      .map(({ name, url }) => ({ preset: name, url, state: 'none', models: [], added_as: null })),
  ])
})

test('R20: without a terminal a scan asks nothing, adds nothing and waits for nobody', async () => {
  const before = await dw(['upstream', 'list', '--json'])
  const { exitCode, stderr } = await dw(['upstream', 'scan', '--json'])
  assert.equal(exitCode, 0, stderr)
  assert.doesNotMatch(stderr, /\?\s*$/m)
  assert.equal((await dw(['upstream', 'list', '--json'])).stdout, before.stdout)
})
