/** The points of the suite `points` once with the real process: SIGKILL before and after each of its file calls. */
import { runFaults } from './disk/fault-suite.ts'
import type { Suite } from './suite.ts'

/** File calls of a server from an upload to the end of its batch, rounded up: beyond the last one nothing strikes. */
const CALLS = 90

export const suite: Suite = {
  name: 'process',
  does: 'SIGKILL before and after each file call of the real process',
  unit: 'kill',
  short: { cycles: 12, minutes: null },
  full: { cycles: 2 * CALLS, minutes: null },
  defects: { 'ignores-failed-syncs': 'a sync that fails is said to have happened' },
  run: (options) =>
    runFaults(
      options,
      options.defect === null
        ? [
            { kind: 'killed-before', calls: CALLS },
            { kind: 'killed-after', calls: CALLS },
          ]
        : [{ kind: 'sync', calls: CALLS }],
    ),
}
