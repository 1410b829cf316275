/** Every code that an error can carry is explained, in the program and on a page of its own. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { commands } from '../src/cli/commands.ts'
import { errorCodes, knownError } from '../src/cli/error-codes.ts'
import { exitCodes } from '../src/cli/exit-codes.ts'
import { topics } from '../src/cli/help.ts'
import { errorPages, pagesThere } from '../tools/make-error-docs.ts'
import { startDwRunner } from './kit/dw-runner.ts'
import { createSandbox } from './kit/server-process.ts'

const sources = globSync('src/**/*.ts').filter((path) => !path.endsWith('.test.ts'))

/** Where the code of an error is no word in the source, and what it can be. */
const computed: Readonly<Record<string, readonly string[]>> = {
  'src/api/errors.ts': ['body_too_large', 'invalid_form', 'insufficient_storage', 'service_unavailable'],
  'src/cli/commands/batches-retry.ts': ['batch_running', 'refused'],
  'src/jsonl/tools/prepare.ts': ['missing_required_parameter', 'invalid_type', 'string_above_max_length'],
  'src/engine/upstream-check.ts': [
    'upstream_unreachable',
    'upstream_unauthorized',
    'upstream_web_page',
    'upstream_no_api',
    'upstream_no_models',
  ],
  'src/lib/worker-channel.ts': [],
}

test('R10: every code that is thrown or answered is explained', () => {
  const unexplained = new Set<string>()
  const unnamed = unnamedCodes()
  for (const path of sources) {
    const text = readFileSync(path, 'utf8')
    for (const code of [...codesIn(text), ...(computed[path] ?? [])])
      if (!Object.hasOwn(errorCodes, code) && !unnamed.has(code)) unexplained.add(`${code} (${path})`)
    // A code that comes from another error was one of these before.
    if (/new (CliError|RefusedError|TroubleError)\(\s*[a-z]\w*,/.test(text))
      assert.ok(path in computed, `${path}: say here which codes it computes`)
  }
  assert.deepEqual(
    [...unexplained],
    [],
    'add them to src/cli/error-codes-….ts, then: node tools/make-error-docs.ts',
  )
})

test('R10: every code has a cause, a fix and a page, and the pages are current', () => {
  for (const [code, { cause, fix, exit }] of Object.entries(errorCodes)) {
    for (const words of [cause, fix]) assert.match(words, /^[`A-Z-].*\.$/, code)
    assert.ok(exit in exitCodes, code)
  }
  const pages = errorPages()
  const there = pagesThere()
  assert.deepEqual(
    there.toSorted(),
    [...pages.keys()].toSorted(),
    'make them again: node tools/make-error-docs.ts',
  )
  for (const path of there)
    assert.equal(
      readFileSync(path, 'utf8'),
      pages.get(path),
      `make it again: node tools/make-error-docs.ts (${path})`,
    )
})

test('R10: every command that an explanation names is one', () => {
  for (const [code, { cause, fix }] of Object.entries(errorCodes)) {
    for (const [, command = ''] of `${cause} ${fix}`.matchAll(/`dw ([^`]+)`/g)) {
      const words = command.split(' ')
      if (words[0] === '--version' || words[0] === 'COMMAND') continue
      const spec = commands.find(({ path }) => path.every((word, place) => word === words[place]))
      assert.ok(spec !== undefined, `${code}: dw ${command}`)
      const values = words.slice(spec.path.length).filter((word) => !word.startsWith('-'))
      assert.ok(values.length <= spec.arguments.length, `${code}: dw ${command}`)
    }
  }
})

test('R10: dw help explains a code, and no code has the name of a topic', async () => {
  const sandbox = createSandbox()
  const runner = startDwRunner()
  const help = (word: string) => runner.run(['help', word], { cwd: sandbox.folder, env: sandbox.env })
  try {
    const { stdout } = await help('tls_failed')
    assert.ok(stdout.startsWith('error[tls_failed]'))
    assert.ok(stdout.includes(errorCodes.tls_failed?.fix ?? '?'))
    const list = (await help('errors')).stdout
    for (const code of Object.keys(errorCodes)) assert.match(list, new RegExp(`^  ${code} `, 'm'))
  } finally {
    await runner.stop()
    sandbox.remove()
  }
  for (const topic of Object.keys(topics)) assert.ok(!(topic in errorCodes), topic)
})

test('a code of another service leads to the page of its status', () => {
  assert.equal(knownError('flux_capacitor', 400).page, 'http_400')
  assert.equal(knownError('flux_capacitor', 418).page, 'http_4xx')
  assert.equal(knownError('flux_capacitor', 599).page, 'http_5xx')
  assert.equal(knownError('EMFILE', null).page, 'unexpected')
  assert.equal(knownError('rate_limit_exceeded', 429).page, 'rate_limit_exceeded')
})

function codesIn(text: string): string[] {
  const thrown = /(?:new (?:CliError|RefusedError|TroubleError)|\brefus(?:ed|al))\(\s*'([a-z_]+)'/g
  const presented = /new ApiError\(\{[^}]*?code: '([a-z_]+)'/g
  const sent = /presentError\(\{[^}]*?code: '([a-z_]+)'/g
  return [thrown, presented, sent].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => match[1] ?? ''),
  )
}

/** Codes that stay within the server: on the wire they are null. */
function unnamedCodes(): Set<string> {
  const list = /UNNAMED_CODES[^[]*\[([^\]]*)\]/.exec(readFileSync('src/api/errors.ts', 'utf8'))?.[1] ?? ''
  return new Set([...list.matchAll(/'([a-z_]+)'/g)].map((match) => match[1] ?? ''))
}
