/** Suites of the torture harness as tests: at their short size nothing breaks, and what is broken on purpose is reported. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Suite } from '../../torture/suite.ts'

const DEFECT_SEED = 1

/** Any: a run that fails prints it, and `npm run torture -- SUITE --seed` repeats it. */
function newSeed(): number {
  return Math.floor(Math.random() * 1e9)
}

export async function expectHeld(t: TestContext, suite: Suite): Promise<void> {
  const seed = newSeed()
  const report = await suite.run({ seed, ...suite.short, defect: null, say: () => undefined })
  t.diagnostic(`seed ${seed}: ${report.passed} passed. ${report.figures.join('; ')}`)
  assert.deepEqual(report.violations, [], `seed ${seed}`)
  assert.ok(report.passed > 0, 'something was checked')
}

export async function expectDefect(
  t: TestContext,
  suite: Suite,
  {
    defect,
    cycles,
    minutes = suite.short.minutes,
  }: { defect: string; cycles: number; minutes?: number | null },
): Promise<void> {
  assert.ok(defect in suite.defects, `a defect of the suite: ${defect}`)
  // The same each time: whether a short run meets the defect must not be a matter of luck.
  const seed = DEFECT_SEED
  const report = await suite.run({ seed, cycles, minutes, defect, say: () => undefined })
  t.diagnostic(`seed ${seed}: ${report.violations[0]?.promise}: ${report.violations[0]?.detail}`)
  assert.ok(report.violations.length > 0, `the suite reports it (seed ${seed})`)
}
