/** `dw run` and its other name, as data. */
import type { CommandSpec, Option } from '../command.ts'
import { serverExits } from '../exit-codes.ts'
import { upstreamOptions } from './upstream-choice.ts'

const options: readonly Option[] = [
  {
    flags: '-o, --output-file <file>',
    help: 'Write the answers to a file, whole or not at all; failed requests go to <file>.errors.jsonl (default: -, standard output)',
  },
  { flags: '-m, --model <model>', help: 'Replace the model of every request', kind: 'model' },
  {
    flags: '-w, --completion-window <window>',
    help: 'Time within which it is to be done: 24h, or 1h for priority (default: 24h)',
    setting: 'completion_window',
  },
  {
    flags: '--metadata <key=value>',
    help: 'A pair to keep with the batch; may be given several times',
    isRepeatable: true,
  },
  {
    flags: '--allow-failures <n>',
    help: 'Exit 0 although up to this many requests failed: a number, or a part such as 5% (also DW_ALLOW_FAILURES)',
    setting: 'allow_failures',
  },
  { flags: '--include-errors', help: 'Put failed requests among the answers' },
  { flags: '--detach', help: 'Submit it, print only the id of the batch, and leave' },
  { flags: '--new', help: 'Run it anew, although the same requests were run before or are running' },
  { flags: '--sample <n>', help: 'Run only so many requests, drawn at random, always the same ones' },
  { flags: '--seed <n>', help: 'Of --sample: another seed draws other requests (default: 1)' },
  { flags: '--dry-run', help: 'Tell what would be done and cost, and send nothing' },
  { flags: '--max-cost <amount>', help: 'Refuse to submit what may cost more, or has no price' },
  {
    flags: '--on-interrupt <action>',
    help: 'What Ctrl-C does to the batch: detach leaves it running (default), cancel ends it',
    choices: ['detach', 'cancel'],
  },
  { flags: '--max-lines <n>', help: 'Cut what is larger into several batches of at most so many requests' },
  ...upstreamOptions,
  {
    flags: '--max-bytes <size>',
    help: 'Cut what is larger into several batches of at most this size, for example 200MB',
  },
]

const shared: Omit<CommandSpec, 'path' | 'summary' | 'examples'> = {
  arguments: [
    {
      name: 'path',
      help: 'A JSONL file, a folder whose .jsonl files are run as one, or - for standard input',
      kind: 'path',
    },
  ],
  options,
  exits: [...serverExits, 'failures', 'invalidInput', 'notCompleted'],
  prints: ['run', 'run-plan', 'result-line', 'bytes'],
  load: () => import('./run.ts'),
}

export const runCommands: readonly CommandSpec[] = [
  {
    ...shared,
    path: ['run'],
    summary: 'Run a file of requests: check, submit, wait, fetch the results, account for every request',
    examples: [
      'dw run batch.jsonl -o results.jsonl',
      'dw run batch.jsonl --sample 2 --dry-run',
      'dw run batches/ -o answers.jsonl -w 1h --allow-failures 5%',
      'dw run requests.jsonl -o - --new',
    ],
  },
  {
    ...shared,
    path: ['stream'],
    summary: 'The same as dw run',
    examples: ['dw stream batch.jsonl -o results.jsonl', 'dw stream batch.jsonl --detach'],
  },
]
