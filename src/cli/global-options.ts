/** Options that every command takes, wherever they stand. */
import type { Option } from './command.ts'

export const globalOptions: readonly Option[] = [
  { flags: '--server <url>', help: 'Server to talk to (also DW_SERVER)' },
  { flags: '--profile <name>', help: 'Stored server, key and defaults to use', kind: 'profile' },
  { flags: '--account <name>', help: 'The same as --profile', kind: 'profile' },
  {
    flags: '--output <format>',
    help: 'How rows are shown (default: table on a terminal, json in a pipe)',
    choices: ['table', 'json', 'plain'],
  },
  { flags: '--json', help: 'The same as --output json' },
  {
    flags: '-q, --quiet',
    help: 'No words on stderr except warnings and errors; of lists and of what was made the ids alone',
  },
  { flags: '-v, --verbose', help: 'Tell about retries and choices' },
  {
    flags: '--debug',
    help: 'Tell about every call over HTTP, without keys and contents (also DW_LOG=debug)',
  },
  { flags: '--debug-bodies', help: 'As --debug, with the beginning of what is sent and got: prompts too' },
  { flags: '--jq <expression>', help: 'Put every JSON object through a jq expression; no jq is needed' },
  { flags: '--fields <names>', help: 'Of every object only these fields, such as id,request_counts.failed' },
  { flags: '--no-truncate', help: 'Never cut a table to the width of the terminal' },
  { flags: '--no-pager', help: 'Show long lists without the pager of PAGER' },
  { flags: '--no-color', help: 'No colour; the same with NO_COLOR set' },
  {
    flags: '--progress <how>',
    help: 'How progress is told on stderr (default: auto, a bar on a terminal and lines elsewhere)',
    choices: ['auto', 'bar', 'lines', 'json', 'none'],
  },
  { flags: '--events-file <path>', help: 'Write what happens to this file too, one JSON event a line' },
  { flags: '--no-input', help: 'Never ask; the same without a terminal and with CI set' },
]

/** `['-w', '--completion-window']` of `-w, --completion-window <window>`. */
export function flagsOf(option: Option): string[] {
  return option.flags.split(/[ ,]+/).filter((word) => word.startsWith('-'))
}

export function takesValue(option: Option): boolean {
  return /[<[]/.test(option.flags)
}

/** They may stand anywhere: they are brought to the front, where the parser wants them. */
export function liftGlobalOptions(words: readonly string[]): string[] {
  const lifted: string[] = []
  const rest: string[] = []
  const find = (flag: string): Option | undefined =>
    globalOptions.find((option) => flagsOf(option).includes(flag))
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? ''
    if (word === '--') {
      rest.push(...words.slice(at))
      break
    }
    const option = find(word)
    const joined = find(/^(--[^=]+)=/.exec(word)?.[1] ?? '')
    if (option !== undefined && takesValue(option)) {
      lifted.push(...words.slice(at, at + 2))
      at += 1
    } else if (option !== undefined || (joined !== undefined && takesValue(joined))) lifted.push(word)
    else rest.push(word)
  }
  return [...lifted, ...rest]
}
