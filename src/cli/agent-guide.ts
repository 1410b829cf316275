/** How a program or an agent works with `dw`. One text for `dw help agents` and for docs/agents.md. */
import { exitCodes } from './exit-codes.ts'

export type AgentStep = { title: string; says: string; commands: readonly string[] }

/** One piece of work from its file to its results, in order. */
export const agentSteps: readonly AgentStep[] = [
  {
    title: 'Check',
    says: 'Nothing is sent. `valid` and `findings` say what is wrong, by line; exit 6 when something is.',
    commands: ['dw files validate requests.jsonl --json'],
  },
  {
    title: 'Submit',
    says: 'Prints the batch; keep its `id`. The work goes on without you.',
    commands: ['dw batches run requests.jsonl --json'],
  },
  {
    title: 'Wait',
    says: 'Returns when the batch has ended, and prints it. The exit code is the outcome: 0 all succeeded, 3 some failed, 7 expired, failed or cancelled, 8 the time ran out while it still runs.',
    commands: ['dw wait BATCH_ID --timeout 1h --json'],
  },
  {
    title: 'Diagnose',
    says: 'Failed requests in groups of one cause, the largest first, each with its number, an example and what helps. --lines prints the failed lines themselves.',
    commands: ['dw errors BATCH_ID --json', 'dw errors BATCH_ID --lines'],
  },
  {
    title: 'Retry',
    says: 'Runs only what failed, as a new batch; prints it. Requests that fail for their own fault fail again: mend those first.',
    commands: ['dw retry BATCH_ID --json'],
  },
  {
    title: 'Download',
    says: 'Answers go to the file, failed requests to results.jsonl.errors.jsonl. Match by `custom_id`, never by position.',
    commands: ['dw results BATCH_ID -o results.jsonl --json'],
  },
]

const rules: readonly string[] = [
  'Give --json to every command. Standard output then holds one JSON object a line and nothing else; words go to standard error.',
  'Decide by the exit code, then by the fields. Never read the words.',
  'Errors with --json are one JSON object on standard error; `error.code` is stable, `error.hint` says what to do.',
  'Nothing waits for a person: a command that needs a confirmation ends with 2 unless it has --yes.',
  'Ids are opaque. `dw help --json` is the map of all commands; `dw schema NAME` is the shape of what they print.',
  'Unknown fields are passed over: fields are added, never removed or renamed.',
]

/** For `dw help agents`. */
export function agentGuide(): string {
  const lines = ['Working with dw from a program or an agent', '', ...rules.map((rule) => `- ${rule}`), '']
  for (const [place, { title, says, commands }] of agentSteps.entries())
    lines.push(`${place + 1}. ${title}. ${says}`, ...commands.map((command) => `   ${command}`))
  lines.push('', 'Exit codes:')
  for (const { code, says } of Object.values(exitCodes)) lines.push(`  ${String(code).padStart(3)}  ${says}`)
  return lines.join('\n')
}

/** For docs/agents.md: the same with the head that skill files have. */
export function agentSkill(): string {
  const lines = [
    '---',
    'name: dw',
    'description: "Run large sets of LLM requests as batches with the dw command line: submit, wait, diagnose, retry and download. Use when many prompts, a JSONL request file or a batch id are involved."',
    '---',
    '',
    '# Working with dw from a program or an agent',
    '',
    ...rules.map((rule) => `- ${rule}`),
    '',
  ]
  for (const [place, { title, says, commands }] of agentSteps.entries())
    lines.push(`## ${place + 1}. ${title}`, '', says, '', '```bash', ...commands, '```', '')
  lines.push('## Exit codes', '', '| Code | Meaning |', '|---|---|')
  for (const { code, says } of Object.values(exitCodes)) lines.push(`| ${code} | ${says} |`)
  return `${lines.join('\n')}\n`
}
