/** The surface of the server once more, with PostgreSQL behind it: the same tests, told by `DW_TEST_POSTGRES` which database to use. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Postgres, skipWithoutPostgres, startPostgres } from './kit/postgres.ts'
import { projectFolder, run } from './kit/server-process.ts'

const FILES = ['lifecycle', 'e2e-openai-sdk', 'compat-dw', 'usage', 'webhooks']

const skip = skipWithoutPostgres()
let postgres: Postgres
before(async () => {
  if (skip === false) postgres = await startPostgres()
})
after(() => postgres?.remove())

test('the tests of the surface hold with PostgreSQL behind it', { skip }, async (t) => {
  // Within a test run the runner would report to it instead of running.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const files = FILES.map((name) => `test/${name}.test.ts`)
  const { exitCode, stdout, stderr } = await run(
    process.execPath,
    ['--test', '--test-reporter=spec', '--test-concurrency=2', ...files],
    { cwd: projectFolder, env: { ...env, DW_TEST_POSTGRES: postgres.url } },
  )
  const failures = stdout.slice(Math.max(0, stdout.indexOf('failing tests')))
  assert.equal(exitCode, 0, `${failures}\n${stderr}`)
  const passed = Number(/pass (\d+)/.exec(stdout)?.[1])
  t.diagnostic(`${passed} tests passed on PostgreSQL`)
  assert.ok(passed > 20, stdout)
})
