import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { withRuns } from '../tools/make-reliability.ts'
import { projectFolder } from './kit/server-process.ts'

test('docs/reliability.md shows the last recorded runs', () => {
  const document = readFileSync(join(projectFolder, 'docs', 'reliability.md'), 'utf8')
  assert.equal(document, withRuns(document))
})
