/** The result log started on a segment of any bytes: it takes what it wrote, or says that it is damaged, and makes nothing up. */
import { TroubleError } from '../../src/lib/errors.ts'
import { KIND_LINE } from '../../src/results/disk/log-format.ts'
import { entriesOf, layout, line, loggedDisk, recovered } from '../../test/kit/log-scenario.ts'
import { createSimulatedDisk, type Entries } from '../../test/kit/simulated-disk.ts'
import { resealFrames } from '../torn/reseal.ts'
import { largestBuffer } from './largest-buffer.ts'
import type { Target } from './target.ts'

/** @param options skipsChecksums: the defect, whatever a frame has become counts as what was written */
export function logTarget(options: { skipsChecksums: boolean }): Target {
  const { disk, segment } = loggedDisk()
  const entries = entriesOf(disk)
  const whole = contentOf(entries, segment)
  return {
    name: 'segments of the log',
    seeds: [whole, whole.subarray(0, 1_000), Buffer.alloc(0)],
    tokens: ['dw-group', 'DWLG', String.fromCharCode(KIND_LINE, 0, 0, 0), '{"batch":1,"line":2}\n'],
    run(input, random) {
      // With checksums that hold, what lies behind them is reached too: that a start makes of it what it says.
      const isResealed = random.float() < 0.25
      const bytes = isResealed || options.skipsChecksums ? resealed(input) : input
      const harmed = createSimulatedDisk({ entries: new Map([...entries, [segment, { bytes, synced: bytes }]]) })
      let wrong: string | null = null
      const largest = largestBuffer(() => {
        wrong = wrongAfter(harmed, { mayBeOthers: isResealed && !options.skipsChecksums })
      })
      return wrong ?? largest(input.byteLength)
    },
  }
}

/** @param options mayBeOthers: the lines are as whole as those that were written, but may be others */
function wrongAfter(
  disk: ReturnType<typeof createSimulatedDisk>,
  options: { mayBeOthers: boolean },
): string | null {
  try {
    for (const [seq, texts] of recovered(disk).texts)
      for (const [lineIndex, text] of texts)
        if (text !== line(seq, lineIndex).text) return options.mayBeOthers ? null : `line ${lineIndex} of batch ${seq} is made up`
    return null
  } catch (thrown) {
    if (thrown instanceof TroubleError) return thrown.message === '' ? 'it is refused without a reason' : null
    // Lines that are others may be no JSON, or of no line: it is the reader of this test that trips over them.
    const isReader = thrown instanceof Error && /log-scenario/.test(thrown.stack?.split('\n    at ')[1] ?? '')
    if (options.mayBeOthers && (thrown instanceof SyntaxError || isReader)) return null
    return `a start ends with ${thrown instanceof Error ? thrown.stack : String(thrown)}`
  }
}

function resealed(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  resealFrames(copy)
  return copy
}

export function contentOf(entries: Entries, path: string): Buffer {
  const entry = entries.get(path)
  if (entry === undefined || entry === 'folder') throw new Error(`${path} is a file of the scenario`)
  return entry.bytes
}
