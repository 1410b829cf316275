import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { commands, groups } from '../src/cli/commands.ts'
import { environmentVariables } from '../src/cli/environment.ts'
import { globalOptions } from '../src/cli/global-options.ts'
import { commandsOf, exitsOf, topics } from '../src/cli/help.ts'
import { topicText } from '../src/cli/help-topics.ts'
import { helpText } from '../src/cli/parser.ts'
import { madeFiles } from '../tools/make-cli-docs.ts'

test('what is made from the commands says what the commands say', () => {
  for (const [path, text] of madeFiles())
    assert.ok(
      existsSync(path) && readFileSync(path, 'utf8') === text,
      `make ${path} again: node tools/make-cli-docs.ts`,
    )
})

test('R25: every command has a purpose, two examples that name it, exit codes, what it prints, and a place in the docs', async () => {
  const docs = readFileSync('docs/cli.md', 'utf8')
  const wrong: string[] = []
  for (const spec of commands) {
    const words = `dw ${spec.path.join(' ')}`
    const check = (isRight: boolean, what: string): void => void (isRight || wrong.push(`${words}: ${what}`))
    check(/^[A-Z].{6,}[^.]$/.test(spec.summary), 'its summary is a sentence without its full stop')
    check(new Set(spec.examples).size >= 2, 'two examples')
    for (const example of spec.examples)
      check(`${example} `.startsWith(`${words} `), `an example of its own: ${example}`)
    for (const { name, help } of spec.arguments) check(help.length > 3, `help for ${name}`)
    for (const { flags, help } of spec.options) check(help.length > 3, `help for ${flags}`)
    check(spec.exits !== undefined, 'exits')
    check(spec.prints !== undefined, 'prints')
    check(docs.includes(`### ${words}\n`), 'a section in docs/cli.md')
    const help = helpText(spec.path)
    for (const example of spec.examples) check(help.includes(example), `--help shows ${example}`)
    check(
      help.includes('Exit codes:') && help.includes(`docs/cli.md#dw-${spec.path.join('-')}`),
      'exit codes and a link in --help',
    )
    check(exitsOf(spec).length >= 5, 'exit codes')
    check(typeof (await spec.load()).run === 'function', 'something that runs')
  }
  assert.deepEqual(wrong, [])
})

test('R25: every command stands in one group, and every name of a group is a command', () => {
  const placed = groups.flatMap((group) => commandsOf(group).map(({ path }) => path.join(' ')))
  assert.deepEqual(placed.toSorted(), commands.map(({ path }) => path.join(' ')).toSorted())
  const known = new Set(commands.flatMap(({ path }) => [path.join(' '), path[0] ?? '']))
  assert.deepEqual(
    groups.flatMap(({ names }) => names.filter((name) => !known.has(name))),
    [],
  )
})

test('no command takes an option that every command takes in another sense', () => {
  const taken = new Set(
    globalOptions.flatMap(({ flags }) => flags.split(/[ ,]+/)).filter((word) => word.startsWith('-')),
  )
  const twice = commands.flatMap(({ path, options }) =>
    options.flatMap(({ flags }) =>
      flags
        .split(/[ ,]+/)
        .filter((word) => taken.has(word))
        .map((word) => `${path.join(' ')} ${word}`),
    ),
  )
  assert.deepEqual(twice, [])
})

test('R25: every topic of help has a text', () => {
  for (const name of Object.keys(topics)) assert.ok(topicText(name).length > 100, name)
})

test('every variable of its own that the command line reads stands in the table of variables', () => {
  const listed = new Set(environmentVariables.flatMap(({ names }) => names))
  const read = globSync('src/cli/**/*.ts')
    .filter((path) => !path.endsWith('.test.ts'))
    .flatMap((path) => [...readFileSync(path, 'utf8').matchAll(/\benv\.((?:DW|OPENAI)_[A-Z_]+)\b/g)])
    .map(([, name = '']) => name)
  assert.ok(read.length > 5)
  assert.deepEqual(
    [...new Set(read)].filter((name) => !listed.has(name)),
    [],
  )
})
