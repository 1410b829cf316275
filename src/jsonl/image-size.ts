/** Width and height of an image from the first bytes of its data URL; nothing is decoded beyond its header. */

export type ImageSize = { width: number; height: number }

/** Guess: a JPEG may carry a thumbnail and a profile before it says how large it is. */
const HEADER_CHARACTERS_MAX = 256 * 1024
const URL_HEAD_CHARACTERS_MAX = 256

/** @returns null for a link, another format, or a header that is cut off or does not fit together */
export function imageSizeOf(url: string): ImageSize | null {
  const head = url.slice(0, URL_HEAD_CHARACTERS_MAX)
  const comma = head.indexOf(',')
  if (!head.startsWith('data:') || comma === -1 || !head.slice(0, comma).endsWith(';base64')) return null
  const bytes = Buffer.from(url.slice(comma + 1, comma + 1 + HEADER_CHARACTERS_MAX), 'base64')
  const size = pngSize(bytes) ?? gifSize(bytes) ?? webpSize(bytes) ?? jpegSize(bytes)
  return size !== null && size.width > 0 && size.height > 0 ? size : null
}

function pngSize(bytes: Buffer): ImageSize | null {
  if (bytes.byteLength < 24 || bytes.toString('latin1', 1, 4) !== 'PNG') return null
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
}

function gifSize(bytes: Buffer): ImageSize | null {
  if (bytes.byteLength < 10 || bytes.toString('latin1', 0, 3) !== 'GIF') return null
  return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) }
}

/** Three kinds: lossy, lossless, and with extras. */
function webpSize(bytes: Buffer): ImageSize | null {
  if (bytes.byteLength < 30 || bytes.toString('latin1', 8, 12) !== 'WEBP') return null
  const kind = bytes.toString('latin1', 12, 16)
  if (kind === 'VP8 ')
    return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff }
  if (kind === 'VP8L') {
    const bits = bytes.readUInt32LE(21)
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 }
  }
  if (kind === 'VP8X') return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 }
  return null
}

const JPEG_START = 0xffd8
const JPEG_SCAN = 0xda
/** Not frames, though their markers stand among those of frames. */
const noFrames: readonly number[] = [0xc4, 0xc8, 0xcc]

function jpegSize(bytes: Buffer): ImageSize | null {
  if (bytes.byteLength < 4 || bytes.readUInt16BE(0) !== JPEG_START) return null
  for (let at = 2; at + 9 <= bytes.byteLength; ) {
    if (bytes[at] !== 0xff) return null
    const marker = bytes[at + 1] ?? 0
    // A marker may be filled up with further 0xff.
    if (marker === 0xff) {
      at += 1
      continue
    }
    if (marker === JPEG_SCAN) return null
    if (marker >= 0xc0 && marker <= 0xcf && !noFrames.includes(marker))
      return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) }
    at += 2 + bytes.readUInt16BE(at + 2)
  }
  return null
}
