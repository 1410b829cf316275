/**
 * Writes what is made from the definitions of the commands, so that it cannot say anything else than `--help`: docs/cli.md,
 * docs/agents.md, llms.txt and the published schemas. A schema that would lose, rename or retype a field is not written: readers rely
 * on it. `--break` writes it all the same.
 */
import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { agentSkill } from '../src/cli/agent-guide.ts'
import type { CommandSpec } from '../src/cli/command.ts'
import { groups } from '../src/cli/commands.ts'
import { exitCodes } from '../src/cli/exit-codes.ts'
import { globalOptions } from '../src/cli/global-options.ts'
import { commandsOf, exitsOf, printsWords, topics, usageOf } from '../src/cli/help.ts'
import { topicText } from '../src/cli/help-topics.ts'
import { jsonSchemaOf, schemaNames, summaryOfSchema } from '../src/cli/schemas/schemas.ts'
import { breakingChanges } from './schema-changes.ts'

const root = join(import.meta.dirname, '..')

/** Everything that is made, by its path within the project. */
export function madeFiles(): Map<string, string> {
  return new Map([
    ['docs/cli.md', cliDocs()],
    ['docs/agents.md', agentSkill()],
    ['llms.txt', llmsText()],
    ...schemaNames.map((name): [string, string] => [
      schemaPath(name),
      `${JSON.stringify(jsonSchemaOf(name), null, 2)}\n`,
    ]),
  ])
}

export function schemaPath(name: string): string {
  return `docs/schemas/${name}.json`
}

function cliDocs(): string {
  const lines = [
    '# Command line',
    '',
    'Made by `node tools/make-cli-docs.ts` from the definitions of the commands; `dw help` and `dw COMMAND --help` say the same.',
    '',
    'Data goes to standard output, words to standard error. On a terminal rows are a table, in a pipe one JSON object a line.',
    '',
  ]
  for (const group of groups) {
    lines.push(`## ${group.summary}`, '')
    for (const spec of commandsOf(group)) lines.push(...section(spec))
  }
  lines.push('## Everywhere', '', 'Every command takes these, wherever they stand.', '')
  lines.push(
    ...table(globalOptions.map(({ flags, help, choices }) => [code(flags), withChoices(help, choices)])),
  )
  lines.push('## Exit codes', '', '| Code | Meaning |', '|---|---|')
  for (const { code: number, says } of Object.values(exitCodes)) lines.push(`| ${number} | ${cell(says)} |`)
  lines.push('')
  for (const topic of ['environment', 'config', 'formatting'].filter((name) => name in topics)) {
    const [title = '', ...text] = topicText(topic).split('\n')
    lines.push(`## ${title}`, '', '```', ...text.slice(1), '```', '')
  }
  lines.push(
    '## Schemas',
    '',
    'Of each line that a command prints with --json; `dw schema NAME` prints one.',
    '',
  )
  lines.push(...table(schemaNames.map((name) => [`[${name}](schemas/${name}.json)`, summaryOfSchema(name)])))
  return `${lines.join('\n').trimEnd()}\n`
}

function section(spec: CommandSpec): string[] {
  const lines = [`### dw ${spec.path.join(' ')}`, '', `${spec.summary}.`, '', '```', usageOf(spec), '```', '']
  const rows = [
    ...spec.arguments.map(({ name, help, choices }) => [code(name), withChoices(help, choices)]),
    ...spec.options.map(({ flags, help, choices }) => [code(flags), withChoices(help, choices)]),
  ]
  if (rows.length > 0) lines.push(...table(rows))
  const codes = exitsOf(spec).map((name) => exitCodes[name].code)
  lines.push('```bash', ...spec.examples, '```', '', `Exit codes: ${codes.join(', ')}.`)
  const printed = printsWords(spec)
  if (printed !== null) lines.push(`${printed}.`)
  return [...lines, '']
}

function table(rows: readonly string[][]): string[] {
  return ['| | |', '|---|---|', ...rows.map((cells) => `| ${cells.map(cell).join(' | ')} |`), '']
}

function code(text: string): string {
  return `\`${text}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

function withChoices(help: string, choices: readonly string[] | undefined): string {
  return choices === undefined ? help : `${help}; one of ${choices.join(', ')}`
}

/** The index for language models: each page with its first sentence. */
function llmsText(): string {
  const pages = globSync('docs/*.md', { cwd: root }).filter((path) => !path.endsWith('/agents.md'))
  const lines = [
    '# dw',
    '',
    "> Batch work against LLM APIs: a command line, and a self-hosted server with OpenAI's Files and Batches API. Every request of a batch ends in exactly one result.",
    '',
    'An agent reads docs/agents.md first. `dw help --json` is the map of all commands, `dw schema NAME` the JSON Schema of what they print.',
    '',
    '## Start',
    '',
    '- [agents.md](docs/agents.md): submit, wait, diagnose, retry and download from a program',
    '- [README.md](README.md): what dw is, and the first batch',
    '',
    '## Docs',
    '',
    ...pages.toSorted().map((path) => `- [${path.slice('docs/'.length)}](${path}): ${titleOf(path)}`),
    '',
    '## Commands',
    '',
    ...groups
      .flatMap((group) => commandsOf(group))
      .map(({ path, summary }) => `- \`dw ${path.join(' ')}\`: ${summary}`),
  ]
  return `${lines.join('\n')}\n`
}

function titleOf(path: string): string {
  const text =
    path === 'docs/cli.md'
      ? '# Every command with its options and examples'
      : readFileSync(join(root, path), 'utf8')
  return /^# (.*)$/m.exec(text)?.[1] ?? ''
}

function write(): void {
  const broken = schemaNames.flatMap((name) => {
    const path = join(root, schemaPath(name))
    return existsSync(path)
      ? breakingChanges(JSON.parse(readFileSync(path, 'utf8')), jsonSchemaOf(name)).map(
          (one) => `${name}: ${one}`,
        )
      : []
  })
  if (broken.length > 0 && !process.argv.includes('--break')) {
    console.error(`Nothing was written. Readers of --json would break:\n${broken.join('\n')}`)
    process.exitCode = 1
    return
  }
  for (const [path, text] of madeFiles()) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}

if (process.argv[1] === import.meta.filename) write()
