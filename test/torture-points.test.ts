import { test } from 'node:test'
import { suite } from '../torture/points.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('a crash at any file call loses nothing that was acknowledged and makes nothing up', (t) =>
  expectHeld(t, suite))

for (const [defect, what] of Object.entries(suite.defects))
  test(`it is found out when ${what}`, (t) => expectDefect(t, suite, { defect, cycles: suite.full.cycles }))
