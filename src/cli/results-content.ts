/** Reads a result file of a server to its end, over any number of cut connections, with the memory of one chunk. */
import { setTimeout as delay } from 'node:timers/promises'

/** One reply: its bytes, and the place in the file at which they begin. */
export type Opened = { body: AsyncIterable<Uint8Array>; startsAt: number }

export type ResumeOptions = {
  /** Asks for the file from a byte on. A server that knows no ranges may begin earlier; what is known already is skipped. */
  open: (fromByte: number) => Promise<Opened>
  /** Begins there; 0 where absent. */
  fromByte?: number
  /** Whether the same request may succeed later. */
  isPassing: (thrown: unknown) => boolean
  signal: AbortSignal
  onTrouble?: (thrown: unknown) => void
  delayMs?: (attempt: number) => number
}

/** Guess: about two minutes without one more byte. */
const ATTEMPTS_MAX = 12
const DELAY_MS_MAX = 15_000

/** @throws what `open` or the body throws, once it is not passing or has lasted too long */
export async function* resumed(options: ResumeOptions): AsyncGenerator<Uint8Array> {
  const { open, isPassing, signal, onTrouble, delayMs = usualDelayMs } = options
  let position = options.fromByte ?? 0
  let attempt = 0
  for (;;) {
    try {
      const { body, startsAt } = await open(position)
      let at = startsAt
      for await (const chunk of body) {
        const fresh = chunk.subarray(Math.max(0, position - at))
        at += chunk.byteLength
        if (fresh.byteLength === 0) continue
        position += fresh.byteLength
        attempt = 0
        yield fresh
      }
      return
    } catch (thrown) {
      attempt += 1
      signal.throwIfAborted()
      if (attempt > ATTEMPTS_MAX || !isPassing(thrown)) throw thrown
      onTrouble?.(thrown)
    }
    await delay(delayMs(attempt), undefined, { signal })
  }
}

function usualDelayMs(attempt: number): number {
  return Math.min(DELAY_MS_MAX, 250 * 2 ** attempt) * (0.5 + Math.random() / 2)
}

const NEWLINE = 10
const newline = Buffer.from('\n')

/** Counts what passes. */
export type Counted = { lines: number }

/** Passes the bytes on, counts their lines, and ends the last one where that is lacking, so that files can follow one another. */
export async function* countLines(
  source: AsyncIterable<Uint8Array>,
  counted: Counted,
): AsyncGenerator<Uint8Array> {
  let endsInNewline = true
  for await (const chunk of source) {
    if (chunk.byteLength === 0) continue
    let at = chunk.indexOf(NEWLINE)
    while (at !== -1) {
      counted.lines += 1
      at = chunk.indexOf(NEWLINE, at + 1)
    }
    endsInNewline = chunk[chunk.byteLength - 1] === NEWLINE
    yield chunk
  }
  if (endsInNewline) return
  counted.lines += 1
  yield newline
}

/** Guess: a line of an error file that is longer tells nothing that its beginning does not. */
const LINE_BYTES_KEPT_MAX = 1024 * 1024

/**
 * Passes the bytes on and shows each line, without its newline and cut to LINE_BYTES_KEPT_MAX, to `onLine`.
 * Put behind `countLines`, so that the last line has its newline.
 */
export async function* tapLines(
  source: AsyncIterable<Uint8Array>,
  onLine: (line: string) => void,
): AsyncGenerator<Uint8Array> {
  let held: Buffer[] = []
  let heldBytes = 0
  const hold = (bytes: Uint8Array): void => {
    const kept = bytes.subarray(0, Math.max(0, LINE_BYTES_KEPT_MAX - heldBytes))
    if (kept.byteLength === 0) return
    held.push(Buffer.from(kept))
    heldBytes += kept.byteLength
  }
  for await (const chunk of source) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      hold(chunk.subarray(start, end))
      onLine(Buffer.concat(held).toString('utf8'))
      held = []
      heldBytes = 0
      start = end + 1
    }
    hold(chunk.subarray(start))
    yield chunk
  }
}
