/**
 * The real server as a process, a scripted upstream that records every call per line, and the ledger of what the server promised.
 * A suite does harm through it and lets it check; a reply that never came makes the request's fate unknown, which is then looked up.
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { WireBatch, WireFile, WireList } from '../../src/contract/wire.ts'
import { lineHash } from '../../src/domain/ids.ts'
import type { Random } from '../../src/lib/random.ts'
import {
  createGate,
  errorReply,
  plainAnswer,
  type Reply,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../../test/kit/scripted-upstream.ts'
import {
  configFlags,
  createSandbox,
  type Sandbox,
  type ServerProcess,
  startServerProcess,
} from '../../test/kit/server-process.ts'
import { pickSome, type Tally } from '../suite.ts'
import { ask, isStopping, post, type Received } from './ask.ts'
import { CallBook } from './call-book.ts'
import { KnownBatch, type KnownFile } from './ledger.ts'
import { kindOf, type LineKinds, requestFile } from './request-file.ts'

export type WorldOptions = {
  random: Random
  tally: Tally
  concurrency: number
  /** How long the upstream takes for an answer, milliseconds. */
  answerMs: () => number
  /** Called once with the folder of the world. @returns environment of the server process, for example a preload that does harm */
  prepare?: (sandbox: Sandbox) => Record<string, string>
  /** TOML put before the upstream's table. */
  config?: string
}

/** Longest time until all work is done once nothing disturbs it any more. */
const SETTLE_MS_MAX = 60_000
const LOOK_MS = 15
/** Mean time of an answer to a line of the work in the background. */
const SLOW_MS = 60
const BACKGROUND_LINES = 1_500
const PAGE = 100
const TIMING =
  '[timing]\nretry_delay_ms = 20\nretry_delay_max_ms = 200\ncancel_grace_ms = 300\ndrain_ms = 200\n'

export class World {
  readonly upstream: ScriptedUpstream
  readonly book = new CallBook()
  readonly files = new Map<string, KnownFile>()
  readonly batches = new Map<string, KnownBatch>()
  readonly random: Random
  /** Acts whose reply may still come; a kill settles them. */
  readonly inFlightActs: Promise<unknown>[] = []
  cycle = 0
  /** What the upstream does to every call for the time being, if it is broken. */
  engineFault: (() => Reply) | null = null
  server: ServerProcess
  readonly #options: WorldOptions
  readonly #sandbox: Sandbox
  /** Creations without a reply: by their mark in the metadata. */
  readonly #unknownCreates = new Map<string, KnownFile>()
  readonly #forgotten = new Set<string>()
  /** Files that are gone or going. */
  readonly #gone = new Set<string>()
  readonly #unknownRetries = new Set<string>()
  /** Deletions without a reply: the file may be gone. */
  readonly #unknownDeletes = new Set<string>()
  /** Creations that were refused with 5xx: they must never run. */
  readonly #refusedCreates = new Set<string>()
  /** Holds the calls that are not answered, until all work is to end. */
  readonly #hanging = createGate()
  #background: KnownBatch | null = null
  #madeFiles = 0
  #madeBatches = 0

  static async start(options: WorldOptions): Promise<World> {
    const upstream = await startScriptedUpstream({ models: ['m'], keepsCalls: false })
    const sandbox = createSandbox()
    // Compiled code is stored when a process ends by itself: one that is killed each time would compile everything again.
    const compiled = join(tmpdir(), 'dw-torture-compiled')
    Object.assign(sandbox.env, { NODE_COMPILE_CACHE: compiled, ...options.prepare?.(sandbox) })
    const server = await startIn(sandbox, upstream, options)
    return new World({ options, upstream, sandbox, server })
  }

  private constructor(parts: {
    options: WorldOptions
    upstream: ScriptedUpstream
    sandbox: Sandbox
    server: ServerProcess
  }) {
    this.#options = parts.options
    this.random = parts.options.random
    this.upstream = parts.upstream
    this.#sandbox = parts.sandbox
    this.server = parts.server
    parts.upstream.setScript((call) => {
      this.book.note(call, (detail) => this.violate('no line is asked twice but after a crash', detail))
      const kind = kindOf(call.body)
      // The book remembers the call, not what was asked.
      call.body = Buffer.alloc(0)
      const fault = this.engineFault?.()
      if (fault !== undefined) {
        this.book.excuse(call)
        return fault
      }
      if (kind === 'refuse') return errorReply(400, { code: 'scripted' })
      if (kind === 'hang') return { gate: this.#hanging.opened, body: plainAnswer(call) }
      const answerMs = kind === 'slow' ? this.between(0, 2 * SLOW_MS) : parts.options.answerMs()
      return { gate: delay(answerMs), body: plainAnswer(call) }
    })
  }

  get folder(): string {
    return this.#sandbox.folder
  }

  violate(promise: string, detail: string): void {
    this.#options.tally.violate(this.cycle, promise, detail)
  }

  /** A uniform integer in [from, to). */
  between(from: number, to: number): number {
    return from + Math.floor(this.random.float() * (to - from))
  }

  // ── What a client does. Each tells the fate of the request: the object, or null when there was no reply. ──

  /** @param kinds shares of the lines that the upstream treats in a special way */
  newFile(count: number, kinds: LineKinds = {}): KnownFile {
    this.#madeFiles += 1
    return requestFile(this.random, { count, kinds, name: `file ${this.#madeFiles}` })
  }

  async upload(file: KnownFile): Promise<string | null> {
    const form = new FormData()
    form.set('purpose', 'batch')
    form.set('file', new Blob([file.text]), 'requests.jsonl')
    const reply = await this.#ask<WireFile>('/v1/files', { method: 'POST', body: form })
    if (reply === null || reply.status !== 200) return null
    this.files.set(reply.body.id, file)
    return reply.body.id
  }

  /** Work with the later deadline, so that there are always calls in flight and answers on their way to the disk. */
  async keepBusy(): Promise<void> {
    if (this.#background !== null && !this.#background.isEnded) return
    const fileId = await this.upload(this.newFile(BACKGROUND_LINES, { slow: 1 }))
    this.#background = fileId === null ? null : await this.create(fileId, '24h')
  }

  async create(fileId: string, window = '1h'): Promise<KnownBatch | null> {
    const file = this.files.get(fileId)
    if (file === undefined) throw new Error(`no file ${fileId}`)
    this.#madeBatches += 1
    const mark = `mark-${this.#madeBatches}`
    this.#unknownCreates.set(mark, file)
    const reply = await this.#ask<WireBatch>(
      '/v1/batches',
      post({
        input_file_id: fileId,
        endpoint: '/v1/chat/completions',
        completion_window: window,
        metadata: { mark },
      }),
    )
    if (reply === null) return null
    this.#unknownCreates.delete(mark)
    if (reply.status !== 200) {
      this.#refusedCreates.add(mark)
      return null
    }
    return this.#know(reply.body, file)
  }

  async cancel(batch: KnownBatch): Promise<void> {
    const reply = await this.#ask<WireBatch>(`/v1/batches/${batch.id}/cancel`, { method: 'POST' })
    if (reply?.status !== 200) return
    batch.isCancelAcked = true
    batch.see(reply.body)
  }

  async retry(batch: KnownBatch): Promise<KnownBatch | null> {
    this.#unknownRetries.add(batch.id)
    const reply = await this.#ask<WireBatch>(`/v1/batches/${batch.id}/retry`, post({}))
    if (reply === null) return null
    this.#unknownRetries.delete(batch.id)
    return reply.status === 200 ? this.#knowRetry(reply.body, batch) : null
  }

  async deleteOutput(batch: KnownBatch): Promise<void> {
    const id = batch.last?.output_file_id ?? null
    if (id === null) return
    const wasUnknown = this.#unknownDeletes.has(id)
    this.#unknownDeletes.add(id)
    const reply = await this.#ask(`/v1/files/${id}`, { method: 'DELETE' })
    if (reply === null || isStopping(reply)) return
    // One whose reply never came may have done it.
    if (reply.status === 200 || (reply.status === 404 && wasUnknown)) batch.deleted.add(id)
    else this.violate('results can be deleted', `${id}: ${reply.status}`)
    this.#unknownDeletes.delete(id)
  }

  /** Its files go, and nothing of it is looked at again, not even by a check that runs meanwhile. */
  async forget(batch: KnownBatch): Promise<void> {
    const ids = [batch.last?.input_file_id, batch.last?.output_file_id, batch.last?.error_file_id]
    this.batches.delete(batch.id)
    this.#forgotten.add(batch.id)
    for (const id of ids) {
      if (id === null || id === undefined) continue
      this.files.delete(id)
      this.#gone.add(id)
      await this.#ask(`/v1/files/${id}`, { method: 'DELETE' })
    }
    this.book.forget(batch.file.ids.map((_, index) => lineHash(batch.id, index)))
  }

  /** Looks at the batch; null when the server is gone. */
  async look(batch: KnownBatch): Promise<WireBatch | null> {
    const reply = await this.#ask<WireBatch>(`/v1/batches/${batch.id}`)
    if (reply === null || isStopping(reply)) return null
    if (reply.status === 200) batch.see(reply.body)
    else this.violate('a batch that was acknowledged exists', `${batch.id}: ${reply.status}`)
    return batch.last
  }

  /** Reads both result files whole. @returns false when the server was gone */
  async read(batch: KnownBatch): Promise<boolean> {
    for (const kind of ['output', 'errors'] as const) {
      const id = kind === 'output' ? batch.last?.output_file_id : batch.last?.error_file_id
      if (id === null || id === undefined || this.#unknownDeletes.has(id)) continue
      const reply = await this.#ask<string>(`/v1/files/${id}/content`)
      if (reply === null || isStopping(reply) || this.#gone.has(id)) return false
      if (batch.deleted.has(id)) {
        if (reply.status !== 404) this.violate('a deleted file stays deleted', `${id}: ${reply.status}`)
      } else if (reply.status === 200) batch.seeContent(kind, reply.body)
      else this.violate('results can be read', `${id}: ${reply.status}`)
    }
    this.book.mustNotRepeat(batch.durableKeys)
    return true
  }

  // ── Harm and recovery ──

  async kill(): Promise<void> {
    await this.end('SIGKILL')
  }

  /** @returns the exit code, or null after a signal that leaves none */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    this.book.kill(this.upstream.inFlight())
    const code = await this.server.kill(signal)
    // What it had sent is read before a call can be one of its successor.
    await this.upstream.deserted()
    await Promise.all(this.inFlightActs.splice(0))
    return code
  }

  /** The process stands still for that long, and then goes on. */
  async pause(ms: number): Promise<void> {
    process.kill(this.server.pid, 'SIGSTOP')
    await delay(ms)
    process.kill(this.server.pid, 'SIGCONT')
  }

  async restart(): Promise<void> {
    this.book.restart()
    this.server = await startIn(this.#sandbox, this.upstream, this.#options)
  }

  /** Everything that was promised before is still so. */
  async check(): Promise<void> {
    await this.#adopt()
    for (const batch of this.batches.values())
      if (!batch.isEnded || this.random.float() < 0.2) await this.look(batch)
    const readable = [...this.batches.values()].filter(({ last }) => last?.output_file_id !== null)
    for (const batch of pickSome(readable, 2, this.random)) await this.read(batch)
    const files = [...this.files.entries()]
    for (const [id, file] of [...files.slice(-1), ...pickSome(files, 1, this.random)]) {
      const reply = await this.#ask<string>(`/v1/files/${id}/content`)
      if (reply === null || isStopping(reply) || this.#gone.has(id)) continue
      if (reply.status !== 200 || reply.body !== file.text)
        this.violate(
          'an upload that was acknowledged is there byte for byte',
          `${id}: ${reply.status}, ${reply.body.length} characters`,
        )
    }
  }

  /** Finds out about creations whose reply never came; what exists is a promise from now on. */
  async #adopt(): Promise<void> {
    let after = ''
    for (;;) {
      const reply = await this.#ask<WireList<WireBatch>>(`/v1/batches?limit=${PAGE}${after}`)
      if (reply === null || reply.status !== 200) return
      for (const found of reply.body.data) this.#adoptOne(found)
      if (!reply.body.has_more) break
      after = `&after=${reply.body.last_id}`
    }
    this.#unknownCreates.clear()
    this.#unknownRetries.clear()
  }

  #adoptOne(found: WireBatch): void {
    if (this.batches.has(found.id) || this.#forgotten.has(found.id)) return
    const origin = found.dw.retry_of === null ? undefined : this.batches.get(found.dw.retry_of)
    if (origin !== undefined && this.#unknownRetries.has(origin.id)) {
      this.#knowRetry(found, origin)
      return
    }
    const mark = found.metadata?.mark ?? ''
    const file = this.#unknownCreates.get(mark)
    if (file !== undefined) this.#know(found, file)
    else
      this.violate(
        this.#refusedCreates.has(mark) ? 'a creation refused with 5xx never runs' : 'nothing is made up',
        `${found.id} ${mark}`,
      )
  }

  /** Waits until all work has ended, reads all of it, and checks each line. */
  async settle(): Promise<void> {
    this.#hanging.open()
    const giveUpAt = performance.now() + SETTLE_MS_MAX
    for (const batch of this.batches.values()) {
      while (!batch.isEnded) {
        if ((await this.look(batch)) === null || performance.now() > giveUpAt) {
          this.violate('every batch ends', `${batch.id}: ${JSON.stringify(batch.last)}`)
          return
        }
        if (!batch.isEnded) await delay(LOOK_MS)
      }
      await this.finish(batch)
    }
  }

  /** Reads an ended batch and checks each line. @returns whether all of it was read, and held */
  async finish(batch: KnownBatch): Promise<boolean> {
    const isRead = await this.read(batch)
    if (!isRead || batch.last === null) return false
    const isRight = batch.checkEnd(batch.last, (key) => this.book.answerOf(key))
    if (isRight) this.#options.tally.pass()
    return isRight
  }

  async stop(): Promise<void> {
    const code = await this.server.stop()
    if (code !== 0)
      this.violate('a stop ends with exit code 0', `exit ${code}: ${this.server.log.slice(-5).join(' | ')}`)
    await this.upstream.stop()
    this.#sandbox.remove()
  }

  #know(found: WireBatch, file: KnownFile): KnownBatch {
    const known =
      this.batches.get(found.id) ??
      new KnownBatch(found.id, file, (promise, detail) => this.violate(promise, detail))
    this.batches.set(found.id, known)
    known.see(found)
    return known
  }

  /** A retry's file holds just the lines that failed; which those are was read before. */
  #knowRetry(found: WireBatch, origin: KnownBatch): KnownBatch {
    const failed = new Set(origin.failedIds)
    const lines = origin.file.text.split('\n').filter((_, index) => failed.has(origin.file.ids[index] ?? ''))
    return this.#know(found, {
      text: `${lines.join('\n')}\n`,
      ids: origin.file.ids.filter((id) => failed.has(id)),
    })
  }

  #ask<T>(path: string, init: RequestInit = {}): Promise<Received<T>> {
    return ask(`${this.server.url}${path}`, init)
  }
}

function startIn(
  sandbox: Sandbox,
  upstream: ScriptedUpstream,
  options: WorldOptions,
): Promise<ServerProcess> {
  const { concurrency, config = '' } = options
  return startServerProcess(
    sandbox,
    configFlags(sandbox, { url: upstream.url, concurrency }, `${config}\n${TIMING}`),
  )
}
