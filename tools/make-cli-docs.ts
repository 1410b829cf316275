/** Writes docs/cli.md from the definitions of the commands, so that it cannot say anything else than `--help`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CommandSpec } from '../src/cli/command.ts'
import { commands, groups } from '../src/cli/commands.ts'
import { exitCodes } from '../src/cli/exit-codes.ts'
import { topicText } from '../src/cli/help.ts'

export const CLI_DOCS_PATH = join(import.meta.dirname, '..', 'docs', 'cli.md')

export function cliDocs(): string {
  const lines = [
    '# Command line',
    '',
    'Made by `node tools/make-cli-docs.ts` from the definitions of the commands.',
    '',
    'Data goes to stdout, words to stderr. On a terminal rows are a table, in a pipe one JSON object a line (`--output table|json|plain`, `--json`).',
    '',
  ]
  for (const group of groups) {
    lines.push(`## ${group.summary}`, '')
    for (const spec of commands.filter(({ path }) => group.names.includes(path[0] ?? '')))
      lines.push(...section(spec))
  }
  lines.push('## Exit codes', '', '| Code | Meaning |', '|---|---|')
  for (const { code, says } of Object.values(exitCodes)) lines.push(`| ${code} | ${says} |`)
  lines.push('', '## Environment', '', '```', topicText('environment') ?? '', '```', '')
  return lines.join('\n')
}

function section(spec: CommandSpec): string[] {
  const words = spec.arguments.map(({ name, isVariadic, isOptional }) => {
    const shown = isVariadic === true ? `${name}…` : name
    return isOptional === true ? `[${shown}]` : `<${shown}>`
  })
  const lines = [`### dw ${[...spec.path, ...words].join(' ')}`, '', `${spec.summary}.`, '']
  const rows = [
    ...spec.arguments.map(({ name, help }) => [name, help]),
    ...spec.options.map(({ flags, help }) => [flags, help]),
  ]
  if (rows.length > 0) {
    lines.push(
      '| | |',
      '|---|---|',
      ...rows.map(([name, help]) => `| \`${name}\` | ${help?.replaceAll('|', '\\|')} |`),
      '',
    )
  }
  return [...lines, '```bash', ...spec.examples, '```', '']
}

if (process.argv[1] === import.meta.filename) writeFileSync(CLI_DOCS_PATH, cliDocs())
