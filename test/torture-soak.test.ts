import { test } from 'node:test'
import { suite } from '../torture/soak.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('clients, faults and restarts for half a minute break no promise', (t) => expectHeld(t, suite))

test('a server that leaks is found out', (t) =>
  expectDefect(t, suite, { defect: 'leaks', cycles: 0, minutes: 0.3 }))
