/**
 * The engine of one case: a real HTTP peer that answers as the case says, may close its port and open it again, and keeps what the
 * checks need: which line was called when on the clock of the test, and the exact bytes of every good answer that it sent.
 */
import type { JumpingClock } from '../../test/kit/jumping-clock.ts'
import {
  plainAnswer,
  type RecordedCall,
  type Reply,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../../test/kit/scripted-upstream.ts'

export type SeenCall = {
  /** Position of the line in the input, from 0. */
  line: number
  /** Calls of the line before this one. */
  attempt: number
  /** Calls of all lines before this one. */
  number: number
  /** Test-clock ms since the case began. */
  atMs: number
  bodyHash: string
  path: string
}

export type Answer = Reply & {
  /** Its end waits for the test clock: the case may let time pass meanwhile. */
  isSlow?: boolean
  /** A success: the bytes that the result line must carry. */
  good?: Uint8Array
}

/** @returns null: the plain good answer */
export type CaseScript = (call: SeenCall, engine: Engine) => Answer | null

export type EngineFacts = {
  clock: JumpingClock
  model: string
  concurrency: number
  script: CaseScript
  /** The reply to `/v1/models`; null: the list with the model. */
  models: (atMs: number) => Reply | null
  isOpen: (atMs: number) => boolean
  tls: { key: string; cert: string } | null
}

export class Engine {
  readonly calls: SeenCall[] = []
  /** Of each line, every good answer that was sent for it. */
  readonly good = new Map<number, Uint8Array[]>()
  readonly facts: EngineFacts
  #peer: ScriptedUpstream | null = null
  #port = 0
  #url = ''
  #startedMs: number | null = null
  #slow: RecordedCall[] = []
  readonly #cancels = new Set<() => void>()

  private constructor(facts: EngineFacts) {
    this.facts = facts
  }

  static async start(facts: EngineFacts): Promise<Engine> {
    const engine = new Engine(facts)
    await engine.#open()
    await engine.tick()
    return engine
  }

  get url(): string {
    return this.#url
  }

  get atMs(): number {
    return this.#startedMs === null ? 0 : this.facts.clock.monotonicMs() - this.#startedMs
  }

  get inFlight(): number {
    return this.#peer?.inFlight() ?? 0
  }

  /** Calls that this engine is about to answer: time stands still meanwhile. */
  get busy(): number {
    this.#slow = this.#slow.filter((call) => call.endedAt === null)
    return this.inFlight - this.#slow.length
  }

  /** Time of the case counts from here; it is 0 before. */
  begin(): void {
    this.#startedMs = this.facts.clock.monotonicMs()
  }

  /** Does what is due by now: opens or closes the port, changes the list of models. */
  async tick(): Promise<void> {
    const isOpen = this.facts.isOpen(this.atMs)
    if (!isOpen) await this.stop()
    else if (this.#peer === null) await this.#open()
    this.#peer?.setModelsReply(this.facts.models(this.atMs))
  }

  /** Resolves when the clock of the test has moved on by that much. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.facts.clock.after(ms, () => {
        this.#cancels.delete(cancel)
        resolve()
      })
      this.#cancels.add(cancel)
    })
  }

  async stop(): Promise<void> {
    for (const cancel of this.#cancels) cancel()
    this.#cancels.clear()
    const peer = this.#peer
    this.#peer = null
    await peer?.stop()
    this.#slow = []
  }

  async #open(): Promise<void> {
    const { model, tls } = this.facts
    const peer = await startScriptedUpstream({
      models: [model],
      port: this.#port,
      script: (call) => this.#answer(call),
      ...(tls === null ? {} : { tls }),
    })
    this.#peer = peer
    this.#port = peer.port
    this.#url = peer.url
  }

  #answer(recorded: RecordedCall): Reply {
    const line = lineOf(recorded)
    const call: SeenCall = {
      line,
      attempt: this.calls.filter((other) => other.line === line).length,
      number: this.calls.length,
      atMs: this.atMs,
      bodyHash: recorded.bodyHash,
      path: recorded.path,
    }
    this.calls.push(call)
    const answer = this.facts.script(call, this) ?? goodAnswer(call)
    if (answer.good !== undefined) this.good.set(line, [...(this.good.get(line) ?? []), answer.good])
    if (answer.isSlow === true || answer.breakAt?.startsWith('hang') === true) this.#slow.push(recorded)
    return answer
  }
}

/** @param text JSON that is sent as it is; absent: a small answer that names the body of the call */
export function goodAnswer(call: SeenCall, text?: string | Uint8Array): Answer {
  const body = Buffer.from(text ?? JSON.stringify(plainAnswer(call)))
  return { headers: { 'content-type': 'application/json' }, body, good: body }
}

function lineOf(call: RecordedCall): number {
  const found = /"content":"line (\d+)/.exec(call.body.subarray(0, 200).toString('latin1'))
  return Number(found?.[1] ?? -1)
}
