/** What a request file holds, in one pass and flat memory: the inspection, and what only statistics ask for. */
import { setImmediate } from 'node:timers/promises'
import { LINE_BYTES_MAX } from '../../domain/limits.ts'
import { createBlockCutter } from '../block-cutter.ts'
import { createInspector, type Inspected } from '../inspector.ts'
import { createDiskSpill } from '../spill.ts'
import { countSamples } from '../tokenizer.ts'
import { type Desk, temporaryPath } from './desk.ts'

export type Stats = {
  inspected: Inspected
  /** Lines of each endpoint, in the order in which they first appear; null where there are too many bad lines to tell. */
  endpoints: { endpoint: string; lines: number | null }[]
  longestLine: { lineNumber: number; bytes: number } | null
  images: { inline: number; remote: number; local: number }
}

/** Guess: a few milliseconds of work between looks at signals. */
const READ_BYTES = 1024 * 1024

/** @param path of a regular file @throws TroubleError; the signal's reason */
export async function statsOf(path: string, desk: Desk, signal: AbortSignal): Promise<Stats> {
  const { disk, random } = desk
  const spill = createDiskSpill(disk, temporaryPath(desk))
  const file = disk.open(path, 'read')
  const counted: number[] = []
  let longestLine: Stats['longestLine'] = null
  const images = { inline: 0, remote: 0, local: 0 }
  try {
    const inspector = createInspector({
      lineBytesMax: LINE_BYTES_MAX,
      linesMax: Number.MAX_SAFE_INTEGER,
      seed: random.bytes(8),
      spill,
      readBack: (target, offset) => disk.read(file, target, offset),
      onEntry({ endpointNumber, lineBytes, lineNumber }) {
        counted[endpointNumber] = (counted[endpointNumber] ?? 0) + 1
        if (lineBytes > (longestLine?.bytes ?? 0)) longestLine = { lineNumber, bytes: lineBytes }
      },
    })
    const cutter = createBlockCutter(LINE_BYTES_MAX, {
      onBlock: (block) => countImages(block, images),
      onLongLine: () => undefined,
    })
    const chunk = Buffer.allocUnsafeSlow(READ_BYTES)
    let offset = 0
    for (let filled = -1; filled !== 0; ) {
      filled = disk.read(file, chunk, offset)
      inspector.push(chunk.subarray(0, filled))
      cutter.push(chunk.subarray(0, filled))
      offset += filled
      await setImmediate()
      signal.throwIfAborted()
    }
    cutter.finish()
    const { samples, ...found } = inspector.finish()
    const inspected = { ...found, models: await countSamples(found.models, samples) }
    return { inspected, endpoints: endpointLines(inspected, counted), longestLine, images }
  } finally {
    disk.close(file)
    spill.close()
  }
}

/**
 * An entry without a usable url counts for the first endpoint, and has one finding: about its url, or about the line as a whole.
 * An entry of any other endpoint has a finding about its url too: it is not the first one's.
 */
function endpointLines(inspected: Inspected, counted: readonly number[]): Stats['endpoints'] {
  const { endpoints, findings, findingsTotal } = inspected
  const others = counted.slice(1).reduce((sum, lines) => sum + lines, 0)
  const faulty = findings.filter(
    ({ code, param, lineNumber }) =>
      param === 'url' || (param === null && lineNumber !== null && code !== 'byte_order_mark'),
  )
  const isKnown = findings.length === findingsTotal
  return endpoints.map((endpoint, number) => {
    if (number > 0) return { endpoint, lines: counted[number] ?? 0 }
    return { endpoint, lines: isKnown ? (counted[0] ?? 0) - (faulty.length - others) : null }
  })
}

const IMAGE_KEY = '"image_url"'
/** Inside a string of JSON the quotes would have backslashes, so this is a member; its value is a string or an object with a url. */
const IMAGE = /"image_url"\s*:\s*(?:\{(?:[^{}"]|"(?!url")[^"\\]*")*"url"\s*:\s*)?"(.{0,8})/g

function countImages(block: Buffer, images: Stats['images']): void {
  if (!block.includes(IMAGE_KEY)) return
  for (const [, start = ''] of block.toString('latin1').matchAll(IMAGE)) {
    if (start.startsWith('data:')) images.inline += 1
    else if (/^https?:/.test(start)) images.remote += 1
    else images.local += 1
  }
}
