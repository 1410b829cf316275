import { test } from 'node:test'
import { suite } from '../torture/clock.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('batches expire at their server time whatever the wall clock does', (t) => expectHeld(t, suite))

test('a server whose time follows the wall clock is found out', (t) =>
  expectDefect(t, suite, { defect: 'follows-the-wall-clock', cycles: 1 }))
