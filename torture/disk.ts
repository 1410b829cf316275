/** File calls of the real server fail: no space for a while, one call broken, one write short, one sync failed. */
import { runFaults } from './disk/fault-suite.ts'
import type { Suite } from './suite.ts'

export const suite: Suite = {
  name: 'disk',
  does: 'no space, a broken call, a short write or a failed sync at the n-th file call of the real process',
  unit: 'fault',
  short: { cycles: 100, minutes: null },
  full: { cycles: 2_000, minutes: null },
  defects: { 'ignores-failed-syncs': 'a sync that fails is said to have happened' },
  run: (options) =>
    runFaults(options, [
      { kind: 'full', calls: 90 },
      { kind: 'short', calls: 40 },
      { kind: 'sync', calls: 30 },
      { kind: 'broken', calls: 90 },
    ]),
}
