/** Bounds the calls to the database thread: so many are open at a time, so many wait in order, and the next one is turned away. */
import { TroubleError } from '../lib/errors.ts'

export type CallGate = {
  /** Resolves when the call may go ahead. @throws TroubleError `unreachable` when too many wait already */
  enter(): Promise<void>
  /** Gives the place to the call that has waited longest. */
  leave(): void
  /** Resolves when no call is open and none waits. */
  idle(): Promise<void>
}

/** Guess: places at the front of the line that have been served before the line is made shorter. */
const SERVED_MAX = 1_024

export function createCallGate(limits: { openMax: number; waitingMax: number }): CallGate {
  let open = 0
  let line: (() => void)[] = []
  let served = 0
  let onIdle: (() => void)[] = []

  const next = (): (() => void) | undefined => {
    const first = line[served]
    if (first !== undefined) served += 1
    if (served === line.length || served > SERVED_MAX) {
      line = line.slice(served)
      served = 0
    }
    return first
  }
  return {
    enter() {
      if (open < limits.openMax) {
        open += 1
        return Promise.resolve()
      }
      const waiting = line.length - served
      if (waiting >= limits.waitingMax) {
        const message = `the database is behind: ${waiting} calls wait for it; try again shortly`
        return Promise.reject(new TroubleError('unreachable', message))
      }
      return new Promise((resolve) => line.push(resolve))
    },
    leave() {
      const first = next()
      if (first !== undefined) return first()
      open -= 1
      if (open > 0) return
      for (const resolve of onIdle) resolve()
      onIdle = []
    },
    idle: () => (open === 0 ? Promise.resolve() : new Promise((resolve) => onIdle.push(resolve))),
  }
}
