/**
 * Every call the upstream saw, per line. It tells apart the calls that a crash may repeat (in flight, or answered and not yet
 * durable) from those that nothing may repeat.
 */
import type { RecordedCall } from '../../test/kit/scripted-upstream.ts'

/** One kill, and what had to be done again because of it. */
export type KillFacts = {
  at: number
  inFlight: number
  /** Calls made again that were in flight at the kill. */
  againInFlight: number
  /** For each call made again that the upstream had answered whole: its age at the kill, milliseconds. */
  againAnsweredMs: number[]
}

export class CallBook {
  readonly kills: KillFacts[] = []
  /** The last call of each line, and the number of the server that made it. */
  readonly #last = new Map<string, { call: RecordedCall; server: number; isExcused: boolean }>()
  readonly #durable = new Set<string>()
  /** Starts of the server after the first. Calls that a killed server had sent may arrive until the next one starts. */
  #restarts = 0

  /** @param violate called when the line had been asked before and no crash excuses the repetition */
  note(call: RecordedCall, violate: (detail: string) => void): void {
    const before = this.#last.get(call.key)
    if (before !== undefined && !before.isExcused) {
      const kill = before.server < this.#restarts ? this.kills[before.server] : undefined
      if (kill === undefined) violate(`${call.key} asked again without a crash between`)
      else if (before.call.endedAt === null || before.call.endedAt > kill.at || before.call.isCut)
        kill.againInFlight += 1
      else kill.againAnsweredMs.push(kill.at - before.call.endedAt)
    }
    if (this.#durable.has(call.key)) violate(`${call.key} was durable and is asked again`)
    this.#last.set(call.key, { call, server: this.#restarts, isExcused: false })
  }

  /** The upstream failed this call on purpose: it is to be made again. */
  excuse(call: RecordedCall): void {
    const last = this.#last.get(call.key)
    if (last !== undefined) last.isExcused = true
  }

  /** These lines are over, and checked. */
  forget(keys: Iterable<string>): void {
    for (const key of keys) {
      this.#last.delete(key)
      this.#durable.delete(key)
    }
  }

  kill(inFlight: number): void {
    this.kills.push({ at: performance.now(), inFlight, againInFlight: 0, againAnsweredMs: [] })
  }

  restart(): void {
    this.#restarts += 1
  }

  mustNotRepeat(keys: Iterable<string>): void {
    for (const key of keys) this.#durable.add(key)
  }

  /** The content of the answer that the upstream gave to this line. */
  answerOf(key: string): string | undefined {
    return this.#last.get(key)?.call.bodyHash
  }
}
