import type { Clock } from './clock.ts'

/** Guess: soon enough for a log, and nothing to a processor. */
const LOOK_MS = 10_000
/** Guess: above what a time service corrects by slewing. */
const JUMP_MS_MIN = 5_000

/**
 * Tells when the wall clock has moved away from server time, which does not follow it (see `clock.ts`).
 * @param onJump gets how far it is away now, milliseconds, signed; once per jump
 * @returns how to end the watch
 */
export function watchWallClock(clock: Clock, onJump: (driftMs: number) => void): () => void {
  let toldMs = 0
  let cancel = (): void => undefined
  const look = (): void => {
    const driftMs = clock.wallClockDriftMs()
    if (Math.abs(driftMs - toldMs) >= JUMP_MS_MIN) {
      toldMs = driftMs
      onJump(driftMs)
    }
    cancel = clock.after(LOOK_MS, look)
  }
  look()
  return () => cancel()
}
