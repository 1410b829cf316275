import { test } from 'node:test'
import { suite } from '../torture/disk.ts'
import { expectDefect, expectHeld } from './kit/torture.ts'

test('a disk that fills, breaks and fails to sync never yields a false success', (t) => expectHeld(t, suite))

test('a server that goes on after a failed sync is found out', (t) =>
  expectDefect(t, suite, { defect: 'ignores-failed-syncs', cycles: 3 }))
