/** The composition root: the only place that names concrete storage. `dw serve` starts it as a process, a local run in-process. */
import type { AddressInfo } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { isLoopback, LOCAL_TENANT } from './api/access.ts'
import { buildApi } from './api/api.ts'
import { openDiskBlobs } from './blobs/disk-blobs.ts'
import { presentEvent } from './contract/present-webhooks.ts'
import type { ServerConfig, UpstreamConfig } from './domain/config.ts'
import { base32 } from './domain/ids.ts'
import { startIntake } from './engine/intake.ts'
import { Janitor } from './engine/janitor.ts'
import { createEngine } from './engine/local-engine.ts'
import { PriceBook } from './engine/price-book.ts'
import { createService, KEY_PREFIX } from './engine/server-service.ts'
import type { Service } from './engine/service.ts'
import type { KeyFiles } from './engine/upstream-registry.ts'
import { WebhookSender } from './engine/webhook-sender.ts'
import { type Clock, createSystemClock } from './lib/clock.ts'
import { systemDisk } from './lib/disk.ts'
import { messageOf, RefusedError, systemCodeOf } from './lib/errors.ts'
import { createLogger, type Logger } from './lib/logger.ts'
import { type Random, systemRandom } from './lib/random.ts'
import {
  makePrivateFile,
  makePrivateFolder,
  readSecret,
  removeSecret,
  writeSecret,
} from './lib/secret-file.ts'
import { VERSION } from './lib/version.ts'
import { watchWallClock } from './lib/wall-clock-watch.ts'
import { requireKnownFormats } from './results/disk/format-check.ts'
import { openDiskResultLog } from './results/disk-result-log.ts'
import { DATABASE_FILE, FOLDER_MARK, openStore, requireOwnDatabase } from './server-store.ts'
import { startSimulatedModel } from './sim/simulated-model.ts'
import { LOCK_FILE, lockFolder } from './store/folder-lock.ts'
import { requireOwnFolder } from './store/own-folder.ts'

export type RunningServer = {
  /** Without `/v1`. */
  url: string
  dataDir: string
  ownerToken: string
  /** A tenant key made at this start because the address demands one and there was none; shown once. */
  firstKey: string | null
  isSimulated: boolean
  /** Drains, makes everything durable, gives the folder back. */
  stop(): Promise<{ unfinishedBatches: number }>
}

/** Guess: ports tried one after the other when the default one is taken. */
const PORTS_TRIED_MAX = 20
const OWNER_TOKEN_BYTES = 20
const SIMULATED_NAME = 'sim'
/** How old a figure of the free space may be. */
const FREE_BYTES_AGE_MS = 1_000

export type StartOptions = {
  /** Take the next free port when the configured one is taken. */
  mayMovePort: boolean
  /** Names the state folder. */
  env: NodeJS.ProcessEnv
  /** Server time; the system's clock, not before the newest stored instant, when absent. */
  clock?: Clock
  random?: Random
}

/** @throws RefusedError, TroubleError with one sentence that says what to do */
export async function startServer(config: ServerConfig, options: StartOptions): Promise<RunningServer> {
  const logger = createLogger(config.logLevel)
  // What the disk or the database holds is unknown from here on: end, and recover at the next start.
  const onDeath = (cause: Error): void => {
    logger.error({ cause: cause.stack ?? cause.message }, 'the server ends: its storage failed')
    process.exit(1)
  }
  prepareFolder(config)
  const unlock = lockFolder(config.dataDir)
  const closers: (() => unknown)[] = [unlock]
  try {
    return await compose(config, { ...options, logger, onDeath, closers })
  } catch (thrown) {
    for (const close of closers.toReversed()) await close()
    throw thrown
  }
}

/** @throws RefusedError in one sentence when the folder cannot be had */
function prepareFolder({ dataDir: path, database }: ServerConfig): void {
  try {
    requireOwnFolder(path, [LOCK_FILE, DATABASE_FILE, FOLDER_MARK])
    makePrivateFolder(path)
    // SQLite gives its files the rights that its database has.
    for (const name of database === null ? [LOCK_FILE, DATABASE_FILE] : [LOCK_FILE])
      makePrivateFile(join(path, name))
  } catch (thrown) {
    if (thrown instanceof RefusedError) throw thrown
    const code = systemCodeOf(thrown) ?? ''
    throw new RefusedError(
      'data_folder',
      `Cannot use ${path} as the data folder: ${FOLDER_TROUBLES[code] ?? messageOf(thrown)}. Name another with --data-dir.`,
      { details: { cause: thrown } },
    )
  }
}

const FOLDER_TROUBLES: Readonly<Record<string, string>> = {
  EEXIST: 'it is a file',
  ENOTDIR: 'a part of its path is a file',
  EACCES: 'this user may not write there',
  EPERM: 'it belongs to another user',
  EROFS: 'its file system is read-only',
  // What making a folder answers where the file system takes nothing.
  ENOENT: 'it cannot be made there, perhaps because the file system is read-only',
  ENOSPC: 'its disk is full',
}

type Context = StartOptions & {
  logger: Logger
  onDeath: (cause: Error) => void
  /** What has been opened, to be closed in reverse order. */
  closers: (() => unknown)[]
}

async function compose(config: ServerConfig, context: Context): Promise<RunningServer> {
  const { logger, closers } = context
  const { dataDir } = config
  const random = context.random ?? systemRandom
  const storage = await openStorage(config, context)
  const { store, clock, blobs, results } = storage
  const onTrouble = (what: string, cause: unknown): void =>
    logger.error(
      { what, cause: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause) },
      'trouble',
    )
  const simulated = await startSimulated(config, await store.upstreams.list())
  if (simulated !== null) closers.push(() => simulated.stop())
  const freeBytes = measuredFreeBytes(dataDir, clock.monotonicMs)
  const keyFiles = createKeyFiles(join(dataDir, 'upstream-keys'))
  const fixedUpstreams = [...config.upstreams, ...simulatedUpstream(config, simulated?.url ?? null)]
  const { isPrivateAllowed } = config.webhooks
  const sender = new WebhookSender({ store, clock, isPrivateAllowed, eventOf: presentEvent, onTrouble })
  closers.push(() => sender.stop())
  const prices = await PriceBook.open(store.prices)
  await prices.set(config.prices, clock.now())
  const common = { ...storage, random, config, freeBytes, sender, prices }
  const onAnnounced = (): void => sender.wake()
  const engine = createEngine({ ...common, keyFiles, fixedUpstreams, onAnnounced, onTrouble })
  const service = createService({ ...common, engine })
  const janitor = new Janitor({ store, blobs, results, clock, onTrouble })

  const ownerToken = ownerTokenOf(join(dataDir, 'owner-token'), random)
  const isOpenAllowed = isLoopback(config.host) && !config.isKeyRequired
  const address = { host: config.host, port: config.port }
  const app = await buildApi({
    service,
    keys: store.keys,
    clock,
    random,
    logger,
    ownerToken,
    keyPrefix: KEY_PREFIX,
    isOpenAllowed,
    version: VERSION,
    currency: config.currency,
    address: () => address,
    stopWaitMs: config.timing.drainMs,
  })
  const onJump = (driftMs: number): void =>
    logger.warn({ driftMs }, 'the wall clock is away from server time, which follows it at the next start')
  closers.push(watchWallClock(clock, onJump))
  await janitor.start()
  closers.push(() => janitor.stop())
  await engine.start()
  sender.wake()
  let stopping: Promise<{ unfinishedBatches: number }> | null = null
  const stopEngine = (): Promise<{ unfinishedBatches: number }> => (stopping ??= engine.stop())
  closers.push(stopEngine)
  // Requests that have begun are answered; new ones get 503.
  closers.push(() => app.close())
  address.port = await listen(app, config, context.mayMovePort)
  // Only a server that listens can show it; a key that nobody has seen would lock everyone out at the next start.
  const firstKey = isOpenAllowed || (await store.keys.any()) ? null : await createFirstKey(service)
  const url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${address.port}`
  closers.push(announce({ url, dataDir, startedAt: clock.now() }, { ...context, config, port: address.port }))
  logger.info({ url, dataDir, version: VERSION }, 'ready')
  const isSimulated = simulated !== null
  const stop = async (): Promise<{ unfinishedBatches: number }> => {
    for (const close of closers.toReversed()) await close()
    return stopEngine()
  }
  return { url, dataDir, ownerToken, firstKey, isSimulated, stop }
}

/** Opens what the server keeps, in the order in which the parts need each other. */
async function openStorage(config: ServerConfig, context: Context) {
  const { onDeath, closers } = context
  const { dataDir } = config
  const resultFolder = join(dataDir, 'results')
  // Both before either is touched: a folder of a newer program stays as it is.
  requireOwnDatabase(config)
  requireKnownFormats(systemDisk, resultFolder)
  const store = await openStore({ ...config, random: context.random ?? systemRandom, onDeath })
  closers.push(() => store.close())
  const clock = context.clock ?? createSystemClock({ notBeforeAt: await store.newestAt() })
  const blobFolder = join(dataDir, 'blobs')
  const blobs = openDiskBlobs({ folder: blobFolder })
  closers.push(() => blobs.close())
  const results = await openDiskResultLog({ folder: resultFolder, clock, onDeath })
  closers.push(() => results.close())
  const { lineBytesMax, fileBytesMax, fileLinesMax } = config.limits
  const intake = startIntake({
    blobFolder,
    limits: { lineBytesMax, fileBytesMax, fileLinesMax },
    random: context.random ?? systemRandom,
    onDeath,
  })
  closers.push(() => intake.stop())
  return { store, clock, blobs, results, intake }
}

async function createFirstKey(service: Service): Promise<string> {
  return (await service.createKey({ name: 'first key', tenantId: LOCAL_TENANT, expiresAt: null })).secret
}

function simulatedUpstream(config: ServerConfig, url: string | null): UpstreamConfig[] {
  return url === null
    ? []
    : [{ name: SIMULATED_NAME, url, key: null, concurrency: config.limits.concurrencyDefault }]
}

async function listen(app: FastifyInstance, config: ServerConfig, mayMovePort: boolean): Promise<number> {
  for (let tried = 0; ; tried += 1) {
    const port = config.port === 0 ? 0 : config.port + tried
    try {
      await app.listen({ host: config.host, port })
      // Listening on TCP, so the address is of that kind.
      return (app.server.address() as AddressInfo).port
    } catch (thrown) {
      if (systemCodeOf(thrown) !== 'EADDRINUSE') {
        throw new RefusedError(
          'cannot_listen',
          `Cannot listen on ${config.host}:${port}: ${messageOf(thrown)}`,
          { details: { cause: thrown } },
        )
      }
      if (!mayMovePort || tried >= PORTS_TRIED_MAX) {
        throw new RefusedError(
          'port_taken',
          `Port ${port} on ${config.host} is taken: stop what listens there, or choose another with --port.`,
          { details: { cause: thrown } },
        )
      }
    }
  }
}

/** On demand, or while there is no other engine. It is an upstream like any other, and never stands in for one. */
async function startSimulated(
  config: ServerConfig,
  stored: readonly unknown[],
): Promise<{ url: string; stop(): Promise<void> } | null> {
  const isAlone = config.upstreams.length === 0 && stored.length === 0
  if (config.simulated === 'off' || (config.simulated === 'auto' && !isAlone)) return null
  return startSimulatedModel({})
}

function createKeyFiles(folder: string): KeyFiles {
  return {
    read: (name) => readSecret(join(folder, name)),
    write: (name, key) => writeSecret(join(folder, name), key),
    remove: (name) => removeSecret(join(folder, name)),
  }
}

function ownerTokenOf(path: string, random: Random): string {
  const known = readSecret(path)
  if (known !== null && known !== '') return known
  const token = `dwo_${base32(random.bytes(OWNER_TOKEN_BYTES))}`
  writeSecret(path, token)
  return token
}

function measuredFreeBytes(folder: string, monotonicMs: () => number): () => number {
  let bytes = systemDisk.bytesFree(folder)
  let measuredAt = monotonicMs()
  return () => {
    if (monotonicMs() - measuredAt > FREE_BYTES_AGE_MS) {
      bytes = systemDisk.bytesFree(folder)
      measuredAt = monotonicMs()
    }
    return bytes
  }
}

/**
 * Lets a command line on this machine find the server by itself. A convenience: a server whose state folder cannot be written
 * runs all the same, and is reached by its address.
 * @returns how to take the word back
 */
function announce(
  facts: { url: string; dataDir: string; startedAt: number },
  {
    config,
    port,
    env,
    logger,
  }: { config: ServerConfig; port: number; env: NodeJS.ProcessEnv; logger: Logger },
): () => void {
  if (!isLoopback(config.host)) return () => undefined
  const state = env.DW_STATE_DIR ?? join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'dw')
  const path = join(state, 'servers', `${port}.json`)
  try {
    writeSecret(path, JSON.stringify({ ...facts, pid: process.pid, version: VERSION }))
  } catch (thrown) {
    logger.warn(
      { path, cause: messageOf(thrown) },
      'the command line cannot find this server by itself: give it --server',
    )
    return () => undefined
  }
  return () => removeSecret(path)
}
