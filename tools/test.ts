/**
 * Runs the test suite: every `*.test.ts` below `src` and `test`, or the files named as arguments.
 * Ends with the line `N passed, N failed` and exit code 1 when anything failed or nothing ran.
 */

import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

const FILE_MS_MAX = 600_000

const named = process.argv.slice(2)
const files = named.length > 0 ? named : globSync('{src,test}/**/*.test.ts').toSorted()
let passed = 0
let failed = 0
let skipped = 0

// Nothing of the caller's set-up may reach a test: no key, no server address, no colours.
for (const name of Object.keys(process.env)) {
  if (/^(OPENAI_|DW_)/.test(name) && name !== 'DW_REFERENCE_BIN') delete process.env[name]
}

const events = run({ files, concurrency: availableParallelism(), timeout: FILE_MS_MAX, forceExit: true })
events.on('test:pass', (test) => {
  if (test.details.type === 'suite') return
  if (test.skip !== undefined) skipped += 1
  else passed += 1
})
events.on('test:fail', (test) => {
  if (test.details.type !== 'suite') failed += 1
})
events.on('end', () => {
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0
  // After the reporter's own last lines.
  setImmediate(() =>
    console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`),
  )
})
events.compose(new spec()).pipe(process.stdout, { end: false })
