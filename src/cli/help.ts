/** The first page of help, and its topics. */
import type { Command } from 'commander'
import type { CommandSpec } from './command.ts'
import { exitCodes } from './exit-codes.ts'

/** `names`: first words of the commands that belong together. */
export type Group = { names: readonly string[]; summary: string }

const PAD = 26

/** Commands by group, the most used first, and how to begin. */
export function helpOf(groups: readonly Group[], commands: readonly CommandSpec[]): string {
  const lines = [
    'dw: batch work against LLM APIs',
    '',
    'Begin:',
    '  dw serve                                    server and engine on this machine',
    '  dw upstream add http://localhost:8000/v1    an engine behind it',
    '  dw batches run requests.jsonl --watch       upload, run, see it through',
    '  dw batches results batch_… -o results.jsonl',
  ]
  for (const group of groups) {
    lines.push('', `${group.summary}:`)
    for (const spec of commands.filter(({ path }) => group.names.includes(path[0] ?? ''))) {
      lines.push(`  ${spec.path.join(' ').padEnd(PAD)}${spec.summary}`)
    }
  }
  lines.push(
    '',
    'Everywhere:',
    `  ${'--server URL'.padEnd(PAD)}server to talk to (also DW_SERVER; key from DW_API_KEY)`,
    `  ${'--output FORMAT, --json'.padEnd(PAD)}table, json or plain (table on a terminal, json in a pipe)`,
    `  ${'--quiet, --verbose'.padEnd(PAD)}fewer or more words on stderr`,
    `  ${'-h, --help'.padEnd(PAD)}help for any command`,
    '',
    'Topics: dw help exit-codes, dw help environment',
    '',
  )
  return lines.join('\n')
}

const topics: Record<string, () => string> = {
  'exit-codes': () =>
    [
      'Exit codes',
      '',
      ...Object.values(exitCodes).map(({ code, says }) => `  ${String(code).padStart(3)}  ${says}`),
    ].join('\n'),
  environment: () =>
    [
      'Environment',
      '',
      '  DW_SERVER           address of the server',
      '  DW_API_KEY          key; goes to --server or DW_SERVER, else to the host of the active profile',
      '  DW_OWNER_TOKEN      owner token, for admin commands away from the machine of the server',
      '  DW_ALLOW_FAILURES   as --allow-failures',
      '  OPENAI_BASE_URL and OPENAI_API_KEY, both set, name a server and its key',
      '  XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_DATA_HOME, DW_STATE_DIR   where files are kept',
    ].join('\n'),
}

export function topicText(name: string): string | null {
  return topics[name]?.() ?? null
}

export function addHelpTopics(program: Command, onRun: (run: () => Promise<number>) => void): void {
  program
    .command('help')
    .argument('[topic...]')
    .action((words: string[]) => {
      onRun(async () => {
        const topic = topicText(words.join(' '))
        if (topic !== null) {
          process.stdout.write(`${topic}\n`)
          return 0
        }
        const command = words.reduce<Command | undefined>(
          (found, word) => found?.commands.find((child) => child.name() === word),
          program,
        )
        if (command === undefined || words.length === 0) program.outputHelp()
        else command.outputHelp()
        return command === undefined ? 2 : 0
      })
    })
}
