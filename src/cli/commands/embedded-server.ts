/**
 * A server for one command: the composition of `dw serve` inside this process, on a free loopback port and with a random key, in front of
 * one upstream. Its folder is the same for every command that names the upstream, so that the same command goes on where another ended.
 * Invariants: one process at a time has the folder; every upstream has a folder of its own, so that no work meant for one is ever sent
 * to another. After a crash the folder holds what the promises of the server say; the next start recovers it.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type Client, createClient } from '../../client/client.ts'
import type { WireUpstream } from '../../contract/wire.ts'
import { TroubleError } from '../../lib/errors.ts'
import { startServer } from '../../server.ts'
import { readServerConfig } from '../../server-config.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { formatNumber } from '../format.ts'
import { foundServers, stateFolder } from '../user-files.ts'
import type { UpstreamChoice } from './upstream-choice.ts'

export type EmbeddedServer = {
  client: Client
  /** Ends in `/v1`. */
  url: string
  key: string
  dataDir: string
  /** Null: it runs without. */
  upstream: WireUpstream | null
  /** Waits for requests in flight, makes everything durable, gives the folder back. */
  stop(): Promise<{ unfinishedBatches: number }>
}

const UPSTREAM_NAME = 'upstream'
/** Enough that two addresses do not meet. */
const HASH_DIGITS = 12
const MODELS_SHOWN_MAX = 5

/** Of this user and upstream, whatever its key. */
export function embeddedFolder(env: NodeJS.ProcessEnv, url: string): string {
  const hash = createHash('sha256').update(url).digest('hex').slice(0, HASH_DIGITS)
  return join(
    stateFolder(env),
    'embedded',
    `${new URL(url).hostname.replaceAll(/[^a-z0-9.-]/g, '_')}-${hash}`,
  )
}

/**
 * @param options.isIdle without the upstream: nothing that is unfinished goes on
 * @throws CliError `upstream_busy`, `upstream_unreachable`; RefusedError and TroubleError of a folder that cannot be used
 */
export async function startEmbeddedServer(
  choice: UpstreamChoice,
  { env, isIdle }: { env: NodeJS.ProcessEnv; isIdle: boolean },
): Promise<EmbeddedServer> {
  const dataDir = embeddedFolder(env, choice.url)
  const config = readServerConfig({
    file: null,
    flags: { host: '127.0.0.1', port: 0, dataDir, database: null, isKeyRequired: true, simulated: 'off' },
    env,
  })
  const { concurrencyDefault } = config.limits
  const concurrency = choice.concurrency ?? concurrencyDefault
  const url = isIdle ? choice.url : await baseUrlOf(choice)
  // Said where only commands of this upstream look: for others it is no server that they could use.
  const privateEnv = { ...env, DW_STATE_DIR: join(dataDir, 'state') }
  const server = await startServer(
    {
      ...config,
      upstreams: isIdle ? [] : [{ name: UPSTREAM_NAME, url, key: choice.key, concurrency }],
      // Standard error is the progress of the command; a server that ends by itself says why all the same.
      logLevel: 'error',
    },
    { mayMovePort: false, env: privateEnv },
  ).catch((thrown: unknown) => {
    throw thrown instanceof TroubleError && thrown.code === 'unreachable' ? busy(choice, privateEnv) : thrown
  })
  // Made at random with the folder, and known to nobody who cannot read it.
  const key = server.ownerToken
  const client = createClient({ baseUrl: server.url, apiKey: key, userAgent: 'dw' })
  try {
    const upstream = isIdle ? null : await client.admin.upstreams.test(UPSTREAM_NAME)
    if (upstream !== null && upstream.reason !== null) throw unreachable({ ...choice, url }, upstream.reason)
    return { client, url: client.baseUrl, key, dataDir, upstream, stop: () => server.stop() }
  } catch (thrown) {
    await server.stop()
    throw thrown
  }
}

/** Some gateways end in a path of their own, below which `/v1` is no address. */
async function baseUrlOf({ url, exactUrl, key }: UpstreamChoice): Promise<string> {
  if (exactUrl === null) return url
  const exact = createClient({ baseUrl: exactUrl, isBaseUrlExact: true, apiKey: key, userAgent: 'dw' })
  try {
    const models: unknown = await exact.models.list()
    // What answers at any address is no API.
    return Array.isArray(models) ? exactUrl : url
  } catch {
    // Whatever is wrong with both forms is told of the usual one.
    return url
  }
}

function busy({ url }: UpstreamChoice, privateEnv: NodeJS.ProcessEnv): CliError {
  const [running] = foundServers(privateEnv)
  const who = running === undefined ? 'another dw process' : `another dw process (${running.pid})`
  return new CliError('upstream_busy', `${who} works with --upstream ${url} already; one at a time can.`, {
    exit: 'unexpected',
    hint: `Wait for it. To run several files at once: dw serve, then dw upstream add ${url}`,
  })
}

function unreachable({ url, key }: UpstreamChoice, reason: string): CliError {
  const isRefused = /^40[13]\b/.test(reason)
  const advice = isRefused
    ? `Does it take ${key === null ? 'a' : 'another'} key? Name its variable with --upstream-key-env.`
    : 'Is the engine running, and is this the base URL of its OpenAI-compatible API?'
  return new CliError('upstream_unreachable', `${url} does not answer as it should: ${reason}.`, {
    exit: isRefused ? 'notAllowed' : 'unreachable',
    hint: `${advice} Nothing was sent; the same command tries again.`,
  })
}

/**
 * Runs `act` in front of the upstream: the server starts when a client is first asked for, and stops at the end. `serverUrl` names the
 * upstream, so that what is remembered of a run is found again although the port is another one each time.
 */
export async function withEmbeddedServer(
  context: CommandContext,
  { choice, isIdle = false }: { choice: UpstreamChoice; isIdle?: boolean },
  act: (context: CommandContext) => Promise<number>,
): Promise<number> {
  const { output, env, signal } = context
  let starting: Promise<EmbeddedServer> | null = null
  const start = async (): Promise<EmbeddedServer> => {
    const server = await startEmbeddedServer(choice, { env, isIdle })
    if (server.upstream !== null)
      output.say(`${choice.url}: ${modelWords(server.upstream.models)}; kept in ${server.dataDir}`)
    return server
  }
  const client = async (): Promise<Client> => {
    starting ??= start()
    return (await starting).client
  }
  let stopping: Promise<number> | null = null
  const stop = (): Promise<number> => {
    stopping ??= stopped(starting)
    return stopping
  }
  const onTerminate = (): void => void stop().finally(() => process.exit(exitCode('terminated')))
  process.once('SIGTERM', onTerminate)
  try {
    return await act({
      ...context,
      client,
      admin: client,
      serverUrl: () => `upstream ${choice.url}`,
      isServerOwn: true,
    })
  } finally {
    if (signal.aborted)
      output.warn('Stopping: requests in flight are waited for, a second Ctrl-C ends at once.')
    const unfinished = await stop()
    if (unfinished > 0)
      output.warn(
        `Paused with ${formatNumber(unfinished, 'unfinished batch', 'unfinished batches')}. The same command goes on.`,
      )
    process.off('SIGTERM', onTerminate)
  }
}

/** @returns batches that have not ended */
async function stopped(starting: Promise<EmbeddedServer> | null): Promise<number> {
  // One that did not start has told why, and holds nothing.
  const server = await starting?.catch(() => null)
  return server ? (await server.stop()).unfinishedBatches : 0
}

function modelWords(models: readonly string[]): string {
  const shown = models.slice(0, MODELS_SHOWN_MAX).join(', ')
  const more = models.length > MODELS_SHOWN_MAX ? `, and ${models.length - MODELS_SHOWN_MAX} more` : ''
  return models.length === 0
    ? 'lists no models yet'
    : `${formatNumber(models.length, 'model')}: ${shown}${more}`
}
