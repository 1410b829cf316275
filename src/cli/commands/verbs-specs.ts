/** What is done with batches most, under one short word each: the commands of `dw batches`, and those that read and wait. */
import type { Argument, CommandSpec, Option } from '../command.ts'
import { serverExits } from '../exit-codes.ts'
import { batchCommands } from './batches.ts'

const idsArgument: Argument = {
  name: 'ids',
  help: 'Ids of batches, or - for those of standard input, one a line',
  isVariadic: true,
  isOptional: true,
  kind: 'batch',
}
const fromFileOption: Option = {
  flags: '--from-file <file>',
  help: 'Read further batch ids from a file, one per line',
}

const shortVerbs: readonly string[] = ['watch', 'results', 'retry', 'cancel', 'get', 'list']

/** The same command without its first word. */
function shortened(spec: CommandSpec): CommandSpec {
  const examples = spec.examples.map((example) => example.replace(/^dw batches /, 'dw '))
  return { ...spec, path: spec.path.slice(1), examples }
}

export const verbCommands: readonly CommandSpec[] = [
  ...batchCommands.filter(({ path }) => shortVerbs.includes(path[1] ?? '')).map(shortened),
  {
    path: ['errors'],
    summary: 'Show why requests failed: in groups of one kind, with their number and what helps',
    arguments: [{ ...idsArgument, help: 'Ids of batches' }],
    options: [
      fromFileOption,
      {
        flags: '--group <group>',
        help: 'Only this group; may be given several times',
        isRepeatable: true,
      },
      { flags: '--lines', help: 'Write the failed lines themselves' },
    ],
    examples: ['dw errors batch_abc123', 'dw errors batch_abc123 --lines', 'dw errors batch_abc123 --json'],
    exits: serverExits,
    prints: ['failure-group', 'result-line'],
    load: () => import('./errors.ts'),
  },
  {
    path: ['wait'],
    summary: 'Wait until batches have ended or come so far; the exit code says how',
    arguments: [idsArgument],
    options: [
      fromFileOption,
      {
        flags: '--for <goal>',
        help: 'What to wait for: done (default), percent=N, or first-result',
      },
      { flags: '--timeout <time>', help: 'Exit 8 after this long, for example 30s, 90m or 2h' },
      ...waitOptions(),
    ],
    examples: [
      'dw wait batch_abc123 --timeout 2h',
      'dw wait batch_abc123 batch_def456 --for percent=50',
      `dw wait batch_abc123 --notify --exec 'echo "$DW_BATCH_ID is $DW_BATCH_STATUS"'`,
    ],
    exits: [...serverExits, 'failures', 'notCompleted', 'stillRunning'],
    prints: ['batch'],
    load: () => import('./wait.ts'),
  },
  {
    path: ['open'],
    summary: 'Show the address of the server or of a batch, in a browser where there is one',
    arguments: [{ name: 'id', help: 'Id of a batch', isOptional: true, kind: 'batch' }],
    options: [],
    examples: ['dw open', 'dw open batch_abc123'],
    exits: serverExits,
    prints: ['address'],
    load: () => import('./open.ts'),
  },
]

function waitOptions(): readonly Option[] {
  // Waiting is watching with a goal: what both take stands at one place.
  const wanted = ['--allow-failures', '--notify', '--exec']
  const watch = batchCommands.find(({ path }) => path[1] === 'watch')
  return (watch?.options ?? []).filter(({ flags }) => wanted.some((flag) => flags.startsWith(flag)))
}
