import { test } from 'node:test'
import { suite } from '../torture/input.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('inputs nobody meant to send break nothing', (t) => expectHeld(t, suite))

for (const [defect, what] of Object.entries(suite.defects))
  test(`it is found out when ${what}`, (t) => expectDefect(t, suite, { defect, cycles: 0, minutes: 0.1 }))
