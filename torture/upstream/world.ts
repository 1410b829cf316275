/** The real server in this process under a clock of the suite, and how a case is driven through it over HTTP. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { createSeededRandom } from '../../src/lib/random.ts'
import { type RunningServer, startServer } from '../../src/server.ts'
import {
  ask,
  createBatch,
  endedStatuses,
  readContent,
  uploadFile,
  type WireBatch,
} from '../../test/kit/batch-api.ts'
import { createJumpingClock, type JumpingClock } from '../../test/kit/jumping-clock.ts'
import { chatLine } from '../../test/kit/requests.ts'
import { testConfig } from '../../test/kit/running-server.ts'
import type { Case } from './case.ts'
import { type CaseScript, Engine } from './engine.ts'
import { tls } from './tls.ts'

export type SeenBatch = WireBatch & {
  errors: { data: { code: string }[] } | null
  dw: { state_reason: string | null; in_flight: number; counts: { expired: number; cancelled: number } }
}

/** What the checks look at. */
export type Outcome = {
  what: Case
  concurrency: number
  /** The `body` of each line, exactly as it stands in the input. */
  bodies: readonly string[]
  batch: SeenBatch
  reasons: ReadonlySet<string>
  /** `/ready` while the batch waited, and never asked otherwise. */
  ready: ReadonlySet<number>
  output: string
  errors: string
  engine: Engine
  lastedMs: number
}

/** Breaks a promise on the way to the server or back, as a proxy could. */
export type Tamper = {
  answer?: CaseScript
  outcome?: (outcome: Outcome) => Outcome
}

/** Longest silence of an engine; shorter than the default, so that the clock needs fewer steps. */
export const STALL_MS = 60_000
const STEP_MS_MIN = 500
const STEP_MS_MAX = 8_000
/** Real ms between two looks. */
const LOOK_MS = 2
/** Looks for which time stands still because a call is on its way or about to begin; beyond them it will not come. */
const BUSY_LOOKS_MAX = 150
/** Real ms. A batch that needs longer will not end. */
const CASE_MS_MAX = 30_000

export class World {
  readonly #folder = mkdtempSync(join(tmpdir(), 'dw-'))
  readonly #clock: JumpingClock = createJumpingClock()
  #server: RunningServer | null = null
  #cases = 0

  static async start(seed: number): Promise<World> {
    const world = new World()
    const config = testConfig(world.#folder, { timing: { stallMs: STALL_MS, drainMs: 0 } })
    world.#server = await startServer(config, {
      mayMovePort: true,
      env: { DW_STATE_DIR: join(world.#folder, 'state') },
      clock: world.#clock,
      random: createSeededRandom(seed),
    })
    return world
  }

  async stop(): Promise<void> {
    await this.#server?.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** @throws when the batch does not end */
  async run(what: Case, { concurrency, tamper }: { concurrency: number; tamper: Tamper }): Promise<Outcome> {
    this.#cases += 1
    const name = `m-${this.#cases}`
    const script = what.script ?? (() => null)
    const engine = await Engine.start({
      clock: this.#clock,
      model: name,
      concurrency,
      script: (call, self) => tamper.answer?.(call, self) ?? script(call, self),
      models: what.models ?? (() => null),
      isOpen: what.isOpen ?? (() => true),
      tls: what.hasTls === true ? tls : null,
    })
    try {
      const url = what.url?.(engine.url) ?? engine.url
      await this.#whileJumping(this.#admin('POST', '', { name, url, concurrency }))
      const outcome = await this.#runBatch(what, { engine, concurrency, model: name })
      await this.#admin('DELETE', `/${name}`)
      return tamper.outcome?.(outcome) ?? outcome
    } finally {
      await engine.stop()
    }
  }

  async #runBatch(
    what: Case,
    { engine, concurrency, model }: { engine: Engine; concurrency: number; model: string },
  ): Promise<Outcome> {
    const url = this.#url
    const count = what.lines?.(concurrency) ?? 3 * concurrency + 3
    const lines = Array.from({ length: count }, (_, at) => chatLine(at, { model, content: `line ${at}` }))
    const path = join(this.#folder, 'requests.jsonl')
    writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
    const fileId = await uploadFile(url, path)
    engine.begin()
    const { id } = await createBatch(url, fileId, { completion_window: '1h' })
    const seen = { reasons: new Set<string>(), ready: new Set<number>() }
    const batch = await this.#untilEnded(id, { what, engine, ...seen })
    const lastedMs = engine.atMs
    return {
      what,
      concurrency,
      bodies: lines.map(({ body }) => JSON.stringify(body)),
      batch,
      ...seen,
      output: await readContent(url, batch.output_file_id),
      errors: await readContent(url, batch.error_file_id),
      engine,
      lastedMs,
    }
  }

  /** Lets time pass whenever nothing moves: in steps that grow, so that ten quiet minutes take few of them. */
  async #untilEnded(
    id: string,
    watched: { what: Case; engine: Engine; reasons: Set<string>; ready: Set<number> },
  ): Promise<SeenBatch> {
    const { engine, what } = watched
    const giveUpAt = performance.now() + CASE_MS_MAX
    let [last, quiet, busyLooks] = ['', 0, 0]
    for (;;) {
      const batch = await ask<SeenBatch>(`${this.#url}/v1/batches/${id}`)
      if (endedStatuses.has(batch.status)) return batch
      const reason = batch.dw.state_reason
      if (reason !== null && !watched.reasons.has(reason)) {
        watched.reasons.add(reason)
        watched.ready.add((await fetch(`${this.#url}/ready`)).status)
      }
      if (performance.now() > giveUpAt)
        throw new Error(
          `it does not end: ${JSON.stringify([batch.request_counts, batch.dw, engine.calls.length])}`,
        )
      const now = JSON.stringify([batch.request_counts, batch.dw.in_flight, engine.calls.length])
      quiet = now === last ? quiet + 1 : 0
      last = now
      const isStarting = batch.dw.in_flight === 0 && reason === null
      const isBusy = isStarting || engine.busy > 0 || batch.dw.in_flight > engine.inFlight
      busyLooks = isBusy ? busyLooks + 1 : 0
      if (!isBusy || busyLooks > BUSY_LOOKS_MAX) {
        await engine.tick()
        this.#clock.jump(Math.min(what.stepMsMax ?? STEP_MS_MAX, STEP_MS_MIN * 2 ** quiet))
      }
      await delay(LOOK_MS)
    }
  }

  /** An engine that says nothing keeps its answer until time has passed. */
  async #whileJumping(work: Promise<unknown>): Promise<void> {
    let isDone = false
    const done = work.finally(() => {
      isDone = true
    })
    // Its failure is thrown below.
    done.catch(() => undefined)
    for (let looks = 0; !isDone; looks += 1) {
      if (looks > BUSY_LOOKS_MAX) this.#clock.jump(STEP_MS_MAX)
      await delay(LOOK_MS)
    }
    await done
  }

  get #url(): string {
    if (this.#server === null) throw new Error('the server is not there')
    return this.#server.url
  }

  #admin(method: string, path: string, body?: Record<string, unknown>): Promise<unknown> {
    return ask(`${this.#url}/admin/v1/upstreams${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#server?.ownerToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  }
}
