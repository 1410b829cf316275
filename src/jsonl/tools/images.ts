/** Puts images into the request itself, so that an engine needs neither the file nor the network. */
import { findImageTokens, findPath, latin1Of, type Span, utf8Of } from './splice.ts'

/** @param reference path or URL as the line has it @returns a data: URL @throws RefusedError when there is no such image */
export type LoadImage = (reference: string) => Promise<string>

/** Guess: images of one line that are loaded at the same time. */
const LOADS_AT_ONCE = 4

/** @param text of a valid line, as Latin-1 @throws what `load` throws */
export async function encodeImages(
  text: string,
  load: LoadImage,
): Promise<{ text: string; encoded: number }> {
  const tokens = imageTokens(text).filter(({ start }) => !text.startsWith('data:', start + 1))
  const parts: string[] = []
  let at = 0
  for (let first = 0; first < tokens.length; first += LOADS_AT_ONCE) {
    const some = tokens.slice(first, first + LOADS_AT_ONCE)
    const loaded = await Promise.all(
      some.map(({ start, end }) => {
        // The token is a string of valid JSON.
        const reference = JSON.parse(utf8Of(text.slice(start, end))) as string
        return load(reference)
      }),
    )
    for (const [place, { start, end }] of some.entries()) {
      parts.push(text.slice(at, start), latin1Of(JSON.stringify(loaded[place])))
      at = end
    }
  }
  if (tokens.length === 0) return { text, encoded: 0 }
  return { text: [...parts, text.slice(at)].join(''), encoded: tokens.length }
}

/** Only in what the model reads: a tool's schema may have a property of that name. */
export function imageTokens(text: string): Span[] {
  if (!text.includes('"image_url"')) return []
  return ['messages', 'input'].flatMap((name) => {
    const within = findPath(text, ['body', name])
    return within === null ? [] : findImageTokens(text, within)
  })
}

const signatures: readonly { mime: string; at: number; bytes: string }[] = [
  { mime: 'image/png', at: 0, bytes: '\x89PNG\r\n\x1a\n' },
  { mime: 'image/jpeg', at: 0, bytes: '\xff\xd8\xff' },
  { mime: 'image/gif', at: 0, bytes: 'GIF8' },
  { mime: 'image/webp', at: 8, bytes: 'WEBP' },
  { mime: 'image/tiff', at: 0, bytes: 'II*\0' },
  { mime: 'image/tiff', at: 0, bytes: 'MM\0*' },
  { mime: 'image/avif', at: 4, bytes: 'ftypavif' },
  { mime: 'image/heic', at: 4, bytes: 'ftypheic' },
]
/** An SVG may begin with a declaration and comments. */
const SVG_HEAD_BYTES = 1024

/** What the bytes are, whatever a name or a server says; null when they are no image. */
export function imageTypeOf(bytes: Buffer): string | null {
  const head = bytes.toString('latin1', 0, SVG_HEAD_BYTES)
  const known = signatures.find((signature) => head.startsWith(signature.bytes, signature.at))
  if (known !== undefined) return known.mime
  return /^\s*(<\?xml|<!--|<svg|<!DOCTYPE svg)/i.test(head) && /<svg[\s>]/i.test(head)
    ? 'image/svg+xml'
    : null
}
