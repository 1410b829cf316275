/**
 * A place in which every example of every command can run as it is written: a server with the simulated model, an engine behind it, and
 * the files that examples name. Ids such as `batch_abc123` stand for objects that are made when an example names them.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { batchWhen, createBatch, endedStatuses, uploadFile } from './batch-api.ts'
import { type DwRunner, startDwRunner } from './dw-runner.ts'
import { chatLine, jsonl, parseLines } from './requests.ts'
import { type ScriptedUpstream, startScriptedUpstream } from './scripted-upstream.ts'
import {
  type CommandResult,
  createSandbox,
  dwPath,
  run,
  type Sandbox,
  type ServerProcess,
  startServerProcess,
  withPathFirst,
} from './server-process.ts'

export type Ran = CommandResult & { command: string }

export type ExamplePlace = {
  /** Runs an example, whatever its shell words are. Several may run at once, each in a lane: a folder with files and profiles of its own. */
  runExample(example: string, lane: number): Promise<Ran>
  stop(): Promise<void>
}

type Lane = {
  sandbox: Sandbox
  env: NodeJS.ProcessEnv
  runner: DwRunner
  server: ServerProcess
  upstream: ScriptedUpstream
  /** Takes whatever webhooks send. */
  hooks: Server
}

export async function openExamplePlace(lanesCount: number): Promise<ExamplePlace> {
  const upstream = await startScriptedUpstream({ models: ['example-model'] })
  const home = createSandbox()
  writeFileSync(home.path('dw.toml'), 'simulated = "on"\n[webhooks]\nallow_private_targets = true\n')
  const server = await startServerProcess(home, ['--config', home.path('dw.toml')])
  const hooks = createServer((request, response) => {
    request.resume()
    response.writeHead(204).end()
  }).listen(0, '127.0.0.1')
  await once(hooks, 'listening')
  const lanes = Array.from({ length: lanesCount }, () => openLane({ server, upstream, hooks, home }))
  return {
    async runExample(example, number) {
      // The number is within the list.
      const lane = lanes[number % lanesCount] as Lane
      // An example before it may have written over them.
      writeInputs(lane.sandbox)
      const command = await withObjects(example, lane)
      return { command, ...(await execute(command, lane)) }
    },
    async stop() {
      for (const { runner, sandbox } of lanes) {
        await runner.stop()
        sandbox.remove()
      }
      await server.kill('SIGKILL')
      await upstream.stop()
      hooks.closeAllConnections()
      hooks.close()
      home.remove()
    },
  }
}

function openLane({
  home,
  ...shared
}: Pick<Lane, 'server' | 'upstream' | 'hooks'> & { home: Sandbox }): Lane {
  const { server } = shared
  const sandbox = createSandbox()
  const bin = sandbox.path('bin')
  mkdirSync(bin)
  symlinkSync(dwPath, join(bin, 'dw'))
  symlinkSync(process.execPath, join(bin, 'node'))
  const env: NodeJS.ProcessEnv = {
    ...withPathFirst(sandbox.env, bin),
    DW_SERVER: server.url,
    DW_OWNER_TOKEN: readFileSync(join(home.dataDir, 'owner-token'), 'utf8').trim(),
    NODE_COMPILE_CACHE: home.env.NODE_COMPILE_CACHE,
    // Named by examples with --key-env.
    OPENAI_API_KEY: 'sk-example',
  }
  return { sandbox, env, runner: startDwRunner(), ...shared }
}

/** Files as examples name them. One request of `batch.jsonl` fails. */
function writeInputs({ path }: Sandbox): void {
  const good = [1, 2, 3].map((number) => chatLine(number))
  const failing = chatLine(4, { content: '[sim:content_filter] please fail' })
  const results = [1, 2, 3].map((number) => ({
    id: `batch_req_${number}`,
    custom_id: `request-${number}`,
    response: { status_code: 200, request_id: `req_${number}`, body: { number } },
    error: null,
  }))
  const failed = {
    ...{ id: 'batch_req_4', custom_id: 'request-4', error: null },
    response: { status_code: 400, request_id: 'req_4', body: { error: { code: 'content_filter' } } },
  }
  const other = good.map((line) => ({ ...line, custom_id: `other-${line.custom_id}` }))
  const files: Record<string, string> = {
    'batch.jsonl': jsonl([...good, failing]),
    'requests.jsonl': jsonl(good),
    'a.jsonl': jsonl(good),
    'b.jsonl': jsonl(other),
    'monday.jsonl': jsonl(good),
    'tuesday.jsonl': jsonl(good.slice(1)),
    'results.jsonl': jsonl(results),
    'results.errors.jsonl': jsonl([failed]),
    'reviews.csv': 'id,text\n1,Good\n2,Bad\n',
    'words.txt': 'one\ntwo\n',
    'key.txt': 'sk-example\n',
    'prices.toml':
      '[[prices]]\nmodel = "my-model"\nwindow = "24h"\ninput_per_million = "0.05"\noutput_per_million = "0.20"\n',
    'prices.json':
      '[{"model":"my-model","window":"1h","input_per_million":"0.05","output_per_million":"0.20"}]',
    'dw.toml': 'simulated = "on"\n',
  }
  for (const folder of ['output', 'batches']) {
    mkdirSync(path(folder), { recursive: true })
    files[`${folder}/a.jsonl`] = jsonl(good)
    files[`${folder}/b.jsonl`] = jsonl(other)
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(path(name), text)
}

type Maker = (lane: Lane, at: { found: string; example: string }) => Promise<string> | string

/** What stands in an example, and what makes the thing that is put in its place. The first that fits is taken. */
const makers: readonly { word: RegExp; make: Maker }[] = [
  {
    word: /(?<=^dw logout )[\w.]+|(?<=^dw (?:whoami|account|config) .*)\bprod\b/g,
    make: (lane, { found }) => newProfile(lane, found),
  },
  {
    word: /^dw (?=logout$|account show$|config (?:set|unset) (?!.*--profile))/g,
    make: async (lane, { found }) => {
      await newProfile(lane, 'active')
      return found
    },
  },
  // A delivery is one of its webhook's.
  { word: /\bwhe_abc123 wh_abc123\b/g, make: newDelivery },
  { word: /\bwhe_abc123\b/g, make: newWebhook },
  { word: /https:\/\/example\.com\/\w+/g, make: hookUrl },
  {
    word: /\bbatch_(?:abc|def|ghi)\d+\b/g,
    make: (lane, { example }) => (isOfRunning(example) ? runningBatch(lane) : endedBatch(lane)),
  },
  {
    word: /\bfile-(?:abc|def)\d+\b/g,
    make: ({ server, sandbox }) => uploadFile(server.url, sandbox.path('batch.jsonl')),
  },
  { word: /\bkey_(?:abc|def)\d+\b/g, make: newKey },
  { word: /\blocalhost-8000\b|\bopenai\b(?=$| --(?:quiet|json|yes))/g, make: newUpstream },
  { word: /https?:\/\/(?:localhost:8000|api\.openai\.com)\/v1/g, make: ({ upstream }) => upstream.url },
  { word: /https?:\/\/(?:batch\.example\.com|127\.0\.0\.1:4111)/g, make: ({ server }) => server.url },
]

async function withObjects(example: string, lane: Lane): Promise<string> {
  let command = example
  for (const { word, make } of makers) {
    const made = new Map<string, string>()
    for (const [found] of command.matchAll(word))
      made.set(found, made.get(found) ?? (await make(lane, { found, example })))
    command = command.replace(word, (found) => made.get(found) ?? found)
  }
  if (/batch-ids\.txt/.test(command) && !command.includes('--output-id'))
    writeFileSync(lane.sandbox.path('batch-ids.txt'), `${await endedBatch(lane)}\n`)
  return command
}

function isOfRunning(example: string): boolean {
  return /^dw (batches )?cancel /.test(example)
}

async function endedBatch({ server, sandbox }: Lane): Promise<string> {
  const { id } = await createBatch(server.url, await uploadFile(server.url, sandbox.path('batch.jsonl')))
  await batchWhen(server.url, id, ({ status }) => endedStatuses.has(status))
  return id
}

/** Its model is one that nobody serves yet, so it waits. */
async function runningBatch({ server, sandbox }: Lane): Promise<string> {
  const path = sandbox.path('waiting.jsonl')
  writeFileSync(path, jsonl([chatLine(1, { model: 'sim/slow' })]))
  return (await createBatch(server.url, await uploadFile(server.url, path))).id
}

async function newKey(lane: Lane): Promise<string> {
  const made = await lane.runner.run(['keys', 'create', '--name', 'example', '--json'], at(lane))
  const key: { id: string; key: string } = JSON.parse(made.stdout)
  lane.env.DW_API_KEY = key.key
  return key.id
}

async function newProfile(lane: Lane, name: string): Promise<string> {
  const stored = await lane.runner.run(['login', lane.server.url, '--name', name], at(lane))
  assert.equal(stored.exitCode, 0, stored.stderr)
  return name
}

function hookUrl({ hooks }: Lane): string {
  // It listens on a port, not on a path of the file system.
  return `http://127.0.0.1:${(hooks.address() as AddressInfo).port}/hooks`
}

async function newWebhook(lane: Lane): Promise<string> {
  const made = await lane.runner.run(['webhooks', 'create', hookUrl(lane), '--json'], at(lane))
  assert.equal(made.exitCode, 0, made.stderr)
  const webhook: { id: string } = JSON.parse(made.stdout)
  return webhook.id
}

async function newDelivery(lane: Lane): Promise<string> {
  const id = await newWebhook(lane)
  await lane.runner.run(['webhooks', 'test', id], at(lane))
  const { stdout } = await lane.runner.run(['webhooks', 'deliveries', id, '--json'], at(lane))
  const [delivery]: { id: string }[] = parseLines(stdout)
  return `${id} ${delivery?.id}`
}

let upstreams = 0

async function newUpstream(lane: Lane): Promise<string> {
  upstreams += 1
  const name = `engine-${upstreams}`
  const words = ['upstream', 'add', lane.upstream.url, '--name', name]
  const added = await lane.runner.run(words, at(lane))
  assert.equal(added.exitCode, 0, added.stderr)
  return name
}

function at({ sandbox, env }: Lane): { cwd: string; env: NodeJS.ProcessEnv } {
  return { cwd: sandbox.folder, env }
}

async function execute(command: string, lane: Lane): Promise<CommandResult> {
  if (command.startsWith('dw serve')) return serveUntilReady(command, lane)
  const words = plainWords(command)
  // A shell is needed for what only shells do.
  return words === null ? run('sh', ['-c', command], at(lane)) : lane.runner.run(words, at(lane))
}

async function serveUntilReady(command: string, { sandbox }: Lane): Promise<CommandResult> {
  const server = await startServerProcess(
    { ...sandbox, dataDir: sandbox.path(`data-${Math.random()}`) },
    command.split(' ').slice(2),
  )
  const exitCode = await server.stop()
  const isJson = command.includes('--json')
  const text = server.log.join('\n')
  return { exitCode: exitCode ?? -1, stdout: isJson ? (server.log[0] ?? '') : '', stderr: text }
}

/** @returns the words behind `dw`; null where the line holds more than words and double quotes */
export function plainWords(command: string): string[] | null {
  const words = [...command.matchAll(/"([^"$`\\]*)"|([^\s"]+)/g)].map(
    ([, quoted, bare]) => quoted ?? bare ?? '',
  )
  const isPlain = !/[<>|$`\\';&]/.test(command.replaceAll(/"[^"]*"/g, '')) && words[0] === 'dw'
  return isPlain && !words.includes('-') ? words.slice(1) : null
}
