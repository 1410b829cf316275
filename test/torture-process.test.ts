import { test } from 'node:test'
import { suite } from '../torture/process.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('the real process, killed at any of its file calls, keeps what it promised', (t) => expectHeld(t, suite))

test('a sync that is only said to have happened is found out', (t) =>
  expectDefect(t, suite, { defect: 'ignores-failed-syncs', cycles: 2 }))
