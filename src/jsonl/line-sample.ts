/**
 * Which lines of a file a tokeniser looks at: all of them up to SAMPLE_LINES_MAX, and of a longer file at least half as many, drawn by
 * a hash of the line's number, so that no pattern in the file meets a pattern in the choice. The same file always gives the same lines.
 */
import type { ImageFacts } from './image-tokens.ts'
import { type JsonObject, promptBytesOf } from './prompt-bytes.ts'
import { imagesOf } from './prompt-images.ts'

export const SAMPLE_LINES_MAX = 256
/** Guess: of one line; the rest of a longer one is taken to be like its beginning. Together at most 2 MiB of a file. */
export const SAMPLE_TEXT_CHARACTERS_MAX = 8 * 1024
/** Guess: an image beyond these counts like those before it. */
const SAMPLE_IMAGES_MAX = 16

export type LineSample = {
  modelNumber: number
  /** What the model reads, without what frames it. */
  texts: string[]
  /** In the bytes that ModelShare.promptBytes counts. */
  textBytes: number
  /** The same of input that is given as token numbers. */
  numberBytes: number
  messages: number
  images: ImageFacts[]
  imagesTotal: number
}

export type LineSampler = {
  /** @param facts.tools the bytes of the tools as they stand in the line, as Latin-1; `isLatin1` tells how the body's strings were read */
  offer(
    lineNumber: number,
    facts: { modelNumber: number; body: JsonObject; tools: string; isLatin1: boolean },
  ): void
  samples(): LineSample[]
}

export function createLineSampler(): LineSampler {
  let held: { rank: number; sample: LineSample }[] = []
  let rankMax = 2 ** 32
  return {
    offer(lineNumber, facts) {
      const rank = rankOf(lineNumber)
      if (rank >= rankMax) return
      held.push({ rank, sample: sampleOf(facts) })
      while (held.length > SAMPLE_LINES_MAX) {
        rankMax /= 2
        held = held.filter((one) => one.rank < rankMax)
      }
    },
    samples: () => held.map(({ sample }) => sample),
  }
}

/** Spreads line numbers over 32 bits. */
function rankOf(lineNumber: number): number {
  let mixed = Math.imul(lineNumber ^ (lineNumber >>> 16), 0x45d9f3b)
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function sampleOf(facts: {
  modelNumber: number
  body: JsonObject
  tools: string
  isLatin1: boolean
}): LineSample {
  const { body, isLatin1 } = facts
  const texts: string[] = []
  let [room, textBytes, stringBytes] = [SAMPLE_TEXT_CHARACTERS_MAX, 0, 0]
  const take = (text: string, encoding: 'latin1' | 'utf8'): number => {
    const bytes = Buffer.byteLength(text, encoding)
    stringBytes += bytes
    if (room === 0) return bytes
    const part = text.length > room ? text.slice(0, room) : text
    room -= part.length
    // A copy: a part of a string would keep the whole of it.
    const copy = Buffer.from(part, encoding)
    texts.push(copy.toString('utf8'))
    textBytes += copy.byteLength
    return bytes
  }
  const promptBytes = promptBytesOf(body, (text) => take(text, isLatin1 ? 'latin1' : 'utf8'))
  const numberBytes = promptBytes - stringBytes
  if (facts.tools !== '') take(facts.tools, 'latin1')
  const images = imagesOf(body, SAMPLE_IMAGES_MAX)
  return {
    modelNumber: facts.modelNumber,
    texts,
    textBytes,
    numberBytes,
    messages: Array.isArray(body.messages) ? body.messages.length : 0,
    images: images.first,
    imagesTotal: images.total,
  }
}
