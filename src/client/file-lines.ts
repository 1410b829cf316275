/** Lines of a file of a service, over any number of cut connections, with the memory of one line. */
import type { Patience } from './patience.ts'

/** How far whole lines have been read. */
export type Place = { lines: number; bytes: number }

export type Opened = {
  body: AsyncIterable<Uint8Array>
  /** Bytes at the beginning of the body that were read before. */
  skipBytes: number
}

const NEWLINE = 10

/**
 * Yields lines without their newline, blank ones left out, and moves `place` along: after an error the next call goes on from there.
 * @param options.open asks for the file from the place on
 */
export async function* readLines(options: {
  open: (place: Place) => Promise<Opened>
  place: Place
  patience: Patience
}): AsyncGenerator<string, undefined> {
  const { open, place, patience } = options
  for (;;) {
    try {
      for await (const { text, bytes } of splitLines(await open(place))) {
        place.lines += 1
        place.bytes += bytes
        patience.restore()
        if (text.trim() !== '') yield text
      }
      return
    } catch (thrown) {
      await patience.wait(thrown)
    }
  }
}

async function* splitLines({ body, skipBytes }: Opened): AsyncGenerator<{ text: string; bytes: number }> {
  let held: Uint8Array[] = []
  let skip = skipBytes
  for await (const chunk of body) {
    const dropped = Math.min(skip, chunk.byteLength)
    skip -= dropped
    let start = dropped
    for (let end = chunk.indexOf(NEWLINE, start); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      held.push(chunk.subarray(start, end + 1))
      yield lineOf(held)
      held = []
      start = end + 1
    }
    if (start < chunk.byteLength) held.push(chunk.subarray(start))
  }
  // A file need not end in a newline.
  if (held.length > 0) yield lineOf(held)
}

function lineOf(pieces: readonly Uint8Array[]): { text: string; bytes: number } {
  const decoder = new TextDecoder()
  let text = ''
  let bytes = 0
  for (const piece of pieces) {
    text += decoder.decode(piece, { stream: true })
    bytes += piece.byteLength
  }
  text += decoder.decode()
  return { text: text.endsWith('\n') ? text.slice(0, -1) : text, bytes }
}
