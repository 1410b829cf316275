/** The result log started on a segment of any bytes: it takes what it wrote, or says that it is damaged, and makes nothing up. */
import { TroubleError } from '../../src/lib/errors.ts'
import { entriesOf, layout, line, loggedDisk, recovered } from '../../test/kit/log-scenario.ts'
import { createSimulatedDisk } from '../../test/kit/simulated-disk.ts'
import type { Target } from './target.ts'

export function logTarget(): Target {
  const { disk, segment } = loggedDisk()
  const entries = entriesOf(disk)
  const whole = entries.get(segment)
  if (whole === undefined || whole === 'folder') throw new Error('the log has a segment')
  const checkpoint = entries.get(layout.checkpoint)
  if (checkpoint === undefined || checkpoint === 'folder') throw new Error('the log has a checkpoint')
  return {
    name: 'segments of the log',
    seeds: [whole.bytes, whole.bytes.subarray(0, 1_000), Buffer.alloc(0)],
    run(input) {
      const harmed = createSimulatedDisk({
        entries: new Map([...entries, [segment, { bytes: input, synced: input }]]),
      })
      try {
        for (const [seq, texts] of recovered(harmed).texts)
          for (const [lineIndex, text] of texts)
            if (text !== line(seq, lineIndex).text) return `line ${lineIndex} of batch ${seq} is made up`
        return null
      } catch (thrown) {
        return thrown instanceof TroubleError ? null : `a start ends with ${String(thrown)}`
      }
    },
  }
}
