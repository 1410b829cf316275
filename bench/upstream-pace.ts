/**
 * How the instant upstream answers when it is not to be instant: after a while, at a rate, or not before it is told to. It also
 * notes how long each slot that an answer freed stays empty.
 */

export type Pace = {
  /** Each answer takes between `delayMs - spreadMs` and `delayMs + spreadMs`. */
  delayMs: number
  spreadMs: number
  /** Answers per second over all connections; null: no bound. */
  perSecond: number | null
  /** After so many answers, counted from the start of the process, no more are given; null: no bound. */
  answersMax: number | null
}

export const instantly: Pace = { delayMs: 0, spreadMs: 0, perSecond: null, answersMax: null }

/** Guess: enough for a P99, and few enough to be sorted at each report. */
const REFILLS_KEPT_MAX = 20_000
/** How often answers at a rate are given. */
const TICK_MS = 2

export class PacedAnswers {
  /** False: answers may go out at once, past this class. */
  isPaced = false
  /** From an answer to the next request after it, for the last answers since `forgetRefills`. */
  refillMs: number[] = []
  #refills = 0
  #pace: Pace = instantly
  readonly #answered: () => number
  #due: (() => void)[] = []
  #held: (() => void)[] = []
  #delayed = 0
  /** When the slots became free that no request has taken yet. */
  #freedAt: number[] = []
  #timer: NodeJS.Timeout | null = null
  #lastTickMs = 0
  #owed = 0

  /** @param answered how many answers the process has given */
  constructor(answered: () => number) {
    this.#answered = answered
  }

  /** What was held is answered as the new pace says. */
  set(pace: Pace): void {
    this.#pace = pace
    const waiting = [...this.#due, ...this.#held]
    this.#due = []
    this.#held = []
    this.isPaced = pace.delayMs > 0 || pace.perSecond !== null || pace.answersMax !== null
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    if (pace.perSecond !== null) {
      this.#lastTickMs = performance.now()
      this.#owed = 0
      this.#timer = setInterval(() => this.#tick(), TICK_MS)
    }
    for (const answer of waiting) this.#place(answer)
  }

  /** A request has arrived. */
  take(answer: () => void): void {
    const freedAt = this.#freedAt.shift()
    if (freedAt !== undefined) {
      this.refillMs[this.#refills % REFILLS_KEPT_MAX] = performance.now() - freedAt
      this.#refills += 1
    }
    this.#place(answer)
  }

  forgetRefills(): void {
    this.refillMs = []
    this.#refills = 0
    this.#freedAt = []
  }

  #place(answer: () => void): void {
    const { delayMs, spreadMs, perSecond, answersMax } = this.#pace
    if (answersMax !== null && this.#answered() + this.#due.length + this.#delayed >= answersMax)
      this.#held.push(answer)
    else if (perSecond !== null) this.#due.push(answer)
    else if (delayMs === 0) this.#give(answer)
    else {
      this.#delayed += 1
      setTimeout(
        () => {
          this.#delayed -= 1
          this.#give(answer)
        },
        delayMs + (Math.random() * 2 - 1) * spreadMs,
      )
    }
  }

  #tick(): void {
    const now = performance.now()
    const perSecond = this.#pace.perSecond ?? 0
    // What nobody waited for is not saved up for later.
    this.#owed = Math.min(perSecond / 10, this.#owed + ((now - this.#lastTickMs) / 1000) * perSecond)
    this.#lastTickMs = now
    const count = Math.min(Math.floor(this.#owed), this.#due.length)
    this.#owed -= count
    for (const answer of this.#due.splice(0, count)) this.#give(answer)
  }

  #give(answer: () => void): void {
    answer()
    this.#freedAt.push(performance.now())
  }
}
