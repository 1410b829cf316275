/** Every example of every command, run as it is written against a real server, and everything it prints held against its schema. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { CommandSpec } from '../src/cli/command.ts'
import { commands } from '../src/cli/commands.ts'
import { exitCode, exitCodes } from '../src/cli/exit-codes.ts'
import { exitsOf } from '../src/cli/help.ts'
import { jsonSchemaOf, type SchemaName } from '../src/cli/schemas/schemas.ts'
import { type ExamplePlace, openExamplePlace } from './kit/dw-examples.ts'
import type { CommandResult } from './kit/server-process.ts'

type Outcome = CommandResult & { example: string; command: string; spec: CommandSpec }

let place: ExamplePlace
const outcomes: Outcome[] = []

/** Guess: enough that waiting for models does not add up. */
const LANES = 4

before(async () => {
  place = await openExamplePlace(LANES)
  // A first key makes the server ask everybody for one.
  const rest = commands.filter(({ path }) => path[0] !== 'keys')
  const groups = Map.groupBy(rest, ({ path }) => path[0])
  const waiting = [...groups.values()].toSorted((a, b) => b.length - a.length)
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      for (let group = waiting.shift(); group !== undefined; group = waiting.shift())
        for (const spec of group) await runAll(spec, lane)
    }),
  )
  for (const spec of commands.filter(({ path }) => path[0] === 'keys')) await runAll(spec, 0)
})

async function runAll(spec: CommandSpec, lane: number): Promise<void> {
  for (const example of spec.examples)
    outcomes.push({ ...(await place.runExample(example, lane)), example, spec })
}

after(() => place.stop())

/** Examples that end otherwise than with 0, and why. */
const expected: readonly { example: RegExp; exit: keyof typeof exitCodes; why: string }[] = [
  {
    example:
      /^dw ((?:batches )?cancel|files delete|keys revoke|upstream remove|account remove|webhooks delete) (?!.*--yes)/,
    exit: 'usage',
    why: 'nobody is there to confirm it',
  },
  { example: /^dw (run|stream) batch\.jsonl -o/, exit: 'failures', why: 'one request fails' },
  { example: /^dw batches run .*--watch/, exit: 'failures', why: 'one request fails' },
  { example: /^dw (batches )?(watch|results|wait) /, exit: 'failures', why: 'one request fails' },
  { example: /^dw files results-join /, exit: 'failures', why: 'one request has no answer' },
  {
    example: /^dw doctor/,
    exit: 'unexpected',
    why: 'an example before it has added an engine that does not run',
  },
  { example: /^dw files diff /, exit: 'failures', why: 'the files differ' },
]

test('R25: every example of every command runs as it is written', () => {
  const wrong = outcomes.flatMap(({ example, command, exitCode: code, stderr }) => {
    const rule = expected.find((one) => one.example.test(example))
    const wanted = exitCode(rule?.exit ?? 'ok')
    return code === wanted ? [] : [`${command}: ${code} instead of ${wanted}\n${stderr}`]
  })
  assert.deepEqual(wrong, [])
})

test('R2: no example ends with an exit code that its help does not name', () => {
  const wrong = outcomes.filter(
    ({ spec, exitCode: code }) => !exitsOf(spec).some((name) => exitCodes[name].code === code),
  )
  assert.deepEqual(
    wrong.map(({ command, exitCode: code }) => `${command}: ${code}`),
    [],
  )
})

test('R13: every line that a command prints in a pipe fits one of its schemas', () => {
  const wrong = outcomes.flatMap(({ spec, command, stdout }) => {
    const prints = spec.prints ?? []
    const schemas = prints.filter((name) => name !== 'bytes')
    // Among data as it is, only what looks like a line of JSON can be one.
    const isLine = (line: string): boolean =>
      prints.includes('bytes') ? schemas.length > 0 && line.startsWith('{"') : line !== ''
    const lines = stdout.split('\n').filter(isLine)
    return lines.flatMap((line) => problemsOf(line, schemas).map((problem) => `${command}: ${problem}`))
  })
  assert.deepEqual(wrong, [])
})

test('R13: the examples make every schema appear that their commands name', () => {
  const seen = new Set<string>()
  for (const { spec, stdout } of outcomes)
    for (const line of stdout.split('\n').filter((text) => text.startsWith('{')))
      for (const name of spec.prints ?? [])
        if (name !== 'bytes' && problemsOf(line, [name]).length === 0) seen.add(name)
  const named = new Set(commands.flatMap(({ prints }) => (prints ?? []).filter((name) => name !== 'bytes')))
  assert.deepEqual(
    [...named].filter((name) => !seen.has(name)),
    [],
  )
})

const ajv = new Ajv2020({ strict: false, allErrors: true })
const validators = new Map<string, ValidateFunction>()

function problemsOf(line: string, names: readonly SchemaName[]): string[] {
  const value: unknown = JSON.parse(line)
  const problems: string[] = []
  for (const name of names) {
    const validate = validators.get(name) ?? ajv.compile(jsonSchemaOf(name))
    validators.set(name, validate)
    if (validate(value)) return []
    problems.push(
      `${name}${(validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`).join('; ')}`,
    )
  }
  return [`${problems.join(' | ')}: ${line.slice(0, 300)}`]
}
