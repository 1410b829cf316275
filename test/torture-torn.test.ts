import { test } from 'node:test'
import { suite } from '../torture/torn.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('wherever the files of the result log are cut or flipped, nothing synced is lost without a word', (t) =>
  expectHeld(t, suite))

for (const [defect, what] of Object.entries(suite.defects))
  test(`it is found out when ${what}`, (t) => expectDefect(t, suite, { defect, cycles: 500 }))
