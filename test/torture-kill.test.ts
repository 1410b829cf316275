import { test } from 'node:test'
import { suite } from '../torture/kill.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('no promise breaks when the server is killed at 30 random instants', (t) => expectHeld(t, suite))

test('a server that acknowledges before the write is found out', (t) =>
  expectDefect(t, suite, { defect: 'acknowledges-before-the-write', cycles: 10 }))
