/**
 * Speed and expected end of a batch, from what was seen of it so far. Pure: times are arguments.
 *
 * A track holds moments at which the number of finished lines was seen to change, oldest first. It spans the last minute, or more where
 * a minute holds too few lines to tell a speed, and never more than SAMPLES_MAX moments.
 */

/** Required by the reference for progress lines: a sliding window of a minute. */
const WINDOW_MS = 60_000
/** Guess: a speed measured on fewer lines is off by more than 5 %, because a line in work counts as none. */
const LINES_IN_WINDOW_MIN = 20
/** Guess: at a look per second the window holds 60 moments; a slow batch keeps as many changes as make up its lines. */
const SAMPLES_MAX = 256
/** Guess: below these the figure would jump about. */
const SETTLED_MS_MIN = 1_000
const SETTLED_LINES_MIN = 2
const UNSETTLED_MS_MAX = 30_000
/** Guess: two looks of a watcher that has become slower, with their chance; what is still for less was only not looked at. */
const STILL_MS_MIN = 2_500

export type Sample = {
  /** Monotonic milliseconds. */
  at: number
  /** Lines that have ended, however they ended. */
  done: number
  /** Tokens so far; null where the server does not say. */
  tokens: number | null
}

export type Track = { readonly samples: readonly Sample[] }

export const emptyTrack: Track = { samples: [] }

/** The track after one more look at the batch. */
export function addSample(track: Track, sample: Sample): Track {
  const last = track.samples.at(-1)
  // Fewer lines than before: another server's view, or another batch. What was measured is void.
  if (last !== undefined && sample.done < last.done) return { samples: [sample] }
  if (last !== undefined && sample.done === last.done) {
    // Work that has not begun does not slow the speed of what follows.
    return sample.done === 0 ? { samples: [sample] } : track
  }
  const samples = [...track.samples, sample]
  let first = 0
  while (samples.length - first > 2) {
    const second = samples[first + 1] as Sample
    const isTooOld = sample.at - second.at >= WINDOW_MS && sample.done - second.done >= LINES_IN_WINDOW_MIN
    if (!isTooOld && samples.length - first <= SAMPLES_MAX) break
    first += 1
  }
  return { samples: samples.slice(first) }
}

/** Per second over the track; null until enough was seen. */
export type Speed = { linesPerSecond: number | null; tokensPerSecond: number | null }

/** @param now monotonic milliseconds */
export function speedOf(track: Track, now: number): Speed {
  const first = track.samples[0]
  const last = track.samples.at(-1)
  if (first === undefined || last === undefined || first === last) return noSpeed
  const lines = last.done - first.done
  const spanMs = elapsedMs(track.samples, now)
  const isSettled = spanMs >= SETTLED_MS_MIN && lines >= (spanMs >= UNSETTLED_MS_MAX ? 1 : SETTLED_LINES_MIN)
  if (!isSettled) return noSpeed
  const seconds = spanMs / 1_000
  const tokens = first.tokens === null || last.tokens === null ? null : last.tokens - first.tokens
  return {
    linesPerSecond: lines / seconds,
    tokensPerSecond: tokens === null || tokens <= 0 ? null : tokens / seconds,
  }
}

const noSpeed: Speed = { linesPerSecond: null, tokensPerSecond: null }

/**
 * From the first moment to the last change, and on to now once nothing has changed for longer than twice the usual: so a speed does not
 * sag between two looks, and falls when the batch stands still.
 */
function elapsedMs(samples: readonly Sample[], now: number): number {
  const first = samples[0] as Sample
  const last = samples.at(-1) as Sample
  const spanMs = last.at - first.at
  const usualGapMs = spanMs / (samples.length - 1)
  const stillMs = now - last.at
  return stillMs > Math.max(2 * usualGapMs, STILL_MS_MIN) ? spanMs + stillMs : spanMs
}

/** Milliseconds until the last line ends at the present speed; null while it cannot be told. */
export function remainingMs(
  lines: { done: number; total: number },
  linesPerSecond: number | null,
): number | null {
  const left = lines.total - lines.done
  if (left <= 0 || linesPerSecond === null || linesPerSecond <= 0) return null
  return (left / linesPerSecond) * 1_000
}
