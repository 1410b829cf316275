/** The topics of `dw help TOPIC`. Their texts stand in the docs as well, made from here. */
import { agentGuide } from './agent-guide.ts'
import { environmentVariables } from './environment.ts'
import { errorListText } from './error-text.ts'
import { exitCodes } from './exit-codes.ts'
import { precedence } from './summary-outcome.ts'

const PAD = 22

/** @param name one of `topics` (help.ts) */
export function topicText(name: string): string {
  return topicTexts[name]?.() ?? ''
}

const topicTexts: Readonly<Record<string, () => string>> = {
  'exit-codes': () =>
    [
      'Exit codes',
      '',
      ...Object.values(exitCodes).map(({ code, says }) => `  ${String(code).padStart(3)}  ${says}`),
      '',
      `Of several that apply the first of these is taken: ${precedence.map((name) => exitCodes[name].code).join(', ')}.`,
      'A command that waits for requests or fetches their results ends with 0 only when all succeeded, or with --allow-failures.',
    ].join('\n'),
  environment: () =>
    [
      'Environment',
      '',
      ...environmentVariables.flatMap(({ names, says }) => {
        const name = names.join(', ')
        return name.length < PAD
          ? [`  ${name.padEnd(PAD)}${says}`]
          : [`  ${name}`, `  ${' '.repeat(PAD)}${says}`]
      }),
    ].join('\n'),
  errors: errorListText,
  formatting: () => formattingLines.join('\n'),
  config: () => configLines.join('\n'),
  agents: agentGuide,
}

/** Sentences about how results are shown. */
const formattingLines: readonly string[] = [
  'Formatting',
  '',
  'Data goes to standard output, words to standard error. So a pipe holds nothing but data.',
  '',
  '  --output table   columns for people; the form on a terminal',
  '  --output json    one compact JSON object a line; the form in a pipe. --json says the same',
  '  --output plain   tab-separated values without a headline; the id comes first',
  '',
  'Give --json where a program reads: it is the promised form. `dw schema` prints the JSON Schema of each kind of line.',
  'Fields are only ever added: none is removed, renamed or changed in type, so readers must pass over those they do not know.',
  'With --json an error is one JSON object on standard error: {"error":{"code","message","hint",…}} (dw schema error).',
  '',
  '  --jq EXPRESSION  every object through jq, which need not be installed; strings are printed as they are, numbers keep their digits',
  '  --fields A,B.C   of every object only these fields, in any of the three forms',
  '  --quiet          of lists and of what was made the ids alone, one a line: dw batches list -q | xargs dw batches watch',
  '  --progress HOW   bar, lines, json (events on standard error: dw schema event) or none; --events-file PATH keeps the events beside it',
  '',
  'A table is cut to the terminal, ids never; --no-truncate shows all of it. A long list goes to DW_PAGER or PAGER, where one is set.',
  'Colour is for terminals: NO_COLOR=1 or --no-color switches it off, CLICOLOR_FORCE=1 on. Control characters in data never reach a terminal.',
  'An agent (AI_AGENT and the variables of known ones) gets JSON, plain lines, no colour, no pager and no question, also on a terminal.',
]

/** Sentences about where settings come from. */
const configLines: readonly string[] = [
  'Configuration',
  '',
  'The server is named by the first of these that is set:',
  '',
  '  1. --server URL, or --profile NAME',
  '  2. DW_SERVER',
  '  3. OPENAI_BASE_URL together with OPENAI_API_KEY',
  '  4. server = "URL" in the nearest dw.toml, from here up to the root of the repository or the home folder',
  '  5. the active profile (dw login URL, dw account use NAME)',
  '  6. a server that runs on this machine (dw serve)',
  '',
  'A key goes only to the host that it was stored or given for. An address may end in /v1 or not.',
  'A dw.toml is shared: it holds no key, and no key follows it to a host that the key was not stored for.',
  '',
  'completion_window, model and allow_failures are taken from the first of: the option, DW_COMPLETION_WINDOW, DW_MODEL and',
  'DW_ALLOW_FAILURES, dw.toml, and the profile while its own server is used (dw config set).',
  '`dw config show --origin` tells which server is used and what named it; keys are shown by their last four characters.',
]
