import { test } from 'node:test'
import { suite } from '../torture/upstream.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('whatever an engine does, no line fails for it, is doubled or mixed up', (t) => expectHeld(t, suite))

for (const [defect, does] of Object.entries(suite.defects))
  test(`reported: ${does}`, (t) => expectDefect(t, suite, { defect, cycles: 1 }))
