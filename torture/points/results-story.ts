/** Answers of several batches through the result log, with checkpoints; after the crash the log recovers and takes the rest. */

import { recover } from '../../src/results/disk/recovery.ts'
import { execute, layout, line, Run, recovered, violations } from '../../test/kit/log-scenario.ts'
import type { SimulatedDisk } from '../../test/kit/simulated-disk.ts'
import type { Story } from './story.ts'

const LATER_BATCHES = [4, 5, 6]

export const resultsStory: Story = {
  name: 'results',
  run(disk) {
    const { run } = execute(disk)
    return run === null ? null : (after) => [...violations(run, recovered(after)), ...goOn(after)]
  },
}

/** The recovered log takes new lines, and they are there at the next start. */
function goOn(disk: SimulatedDisk): string[] {
  const { log } = recover(disk, layout)
  // A crash of this very part left one behind, which is checked no more: what it acknowledged is not known.
  const seq = LATER_BATCHES.find((later) => !disk.exists(layout.batch(later)))
  if (seq === undefined) throw new Error('more crashes than batches to go on with')
  const run = new Run(log)
  run.append([line(seq, 0), line(seq, 1)])
  log.checkpoint()
  run.append([line(seq, 2)])
  log.close()
  return violations(run, recovered(disk, [seq])).filter((what) => !what.startsWith('invented'))
}
