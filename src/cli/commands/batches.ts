/** The batch commands as data. Each is imported only when it runs. */
import type { Argument, CommandSpec, Option } from '../command.ts'
import { serverExits } from '../exit-codes.ts'

const windowOption: Option = {
  flags: '-w, --completion-window <window>',
  help: 'Time within which the batch is to be done: 24h, or 1h for priority (default: 24h)',
  setting: 'completion_window',
}
const metadataOption: Option = {
  flags: '--metadata <key=value>',
  help: 'A pair to keep with the batch; may be given several times',
  isRepeatable: true,
}
const fromFileOption: Option = {
  flags: '--from-file <file>',
  help: 'Read further batch ids from a file, one per line',
}
const allowFailuresOption: Option = {
  flags: '--allow-failures <n>',
  help: 'Exit 0 although up to this many requests of a batch failed: a number, or a part such as 5% (also DW_ALLOW_FAILURES)',
  setting: 'allow_failures',
}
const idArgument: Argument = { name: 'id', help: 'Id of the batch', kind: 'batch' }
const idsArgument: Argument = {
  name: 'ids',
  help: 'Ids of batches',
  isVariadic: true,
  isOptional: true,
  kind: 'batch',
}

export const batchCommands: readonly CommandSpec[] = [
  {
    path: ['batches', 'run'],
    summary: 'Upload request files and start a batch of each',
    arguments: [
      {
        name: 'paths',
        help: 'JSONL files, or folders of which every .jsonl file is run',
        isVariadic: true,
        kind: 'path',
      },
    ],
    options: [
      { flags: '-m, --model <model>', help: 'Replace the model of every request', kind: 'model' },
      windowOption,
      metadataOption,
      { flags: '--watch', help: 'Show progress until all batches have ended' },
      {
        flags: '--output-id <file>',
        help: 'Write the id of each batch to a file, one per line, as soon as it exists',
      },
      { flags: '--skip-invalid', help: 'Leave out files with invalid lines and run the others' },
      allowFailuresOption,
    ],
    examples: [
      'dw batches run batch.jsonl --watch',
      'dw batches run output/ --completion-window 1h --output-id batch-ids.txt',
      'dw batches run batch.jsonl --model Qwen/Qwen3-VL-235B-A22B-Instruct-FP8',
    ],
    exits: [...serverExits, 'failures', 'invalidInput', 'notCompleted', 'stillRunning'],
    prints: ['batch'],
    load: () => import('./batches-run.ts'),
  },
  {
    path: ['batches', 'create'],
    summary: 'Start a batch of a file that is already uploaded',
    arguments: [],
    options: [
      { flags: '--file <id>', help: 'Id of the uploaded request file', kind: 'file' },
      windowOption,
      metadataOption,
    ],
    examples: [
      'dw batches create --file file-abc123',
      'dw batches create --file file-abc123 --completion-window 1h --metadata project=evals',
    ],
    exits: serverExits,
    prints: ['batch'],
    load: () => import('./batches-create.ts'),
  },
  {
    path: ['batches', 'get'],
    summary: 'Show batches',
    arguments: [{ name: 'ids', help: 'Ids of batches', kind: 'batch', isVariadic: true }],
    options: [],
    examples: ['dw batches get batch_abc123', 'dw batches get batch_abc123 --json'],
    exits: serverExits,
    prints: ['batch'],
    load: () => import('./batches-get.ts'),
  },
  {
    path: ['batches', 'list'],
    summary: 'List batches, newest first',
    arguments: [],
    options: [
      { flags: '-n, --limit <n>', help: 'How many to show, 1 to 100 (default: 20)' },
      { flags: '--after <id>', help: 'Go on after this batch', kind: 'batch' },
      { flags: '--active-first', help: 'Show those that have not ended before the others' },
      { flags: '--all', help: 'Show all, page by page' },
    ],
    examples: ['dw batches list --active-first', 'dw batches list --all --json'],
    exits: serverExits,
    prints: ['batch'],
    load: () => import('./batches-list.ts'),
  },
  {
    path: ['batches', 'watch'],
    summary: 'Show progress until the batches have ended',
    arguments: [idsArgument],
    options: [
      fromFileOption,
      allowFailuresOption,
      { flags: '--notify', help: 'Ring the bell, and show a notice on the desktop, when all have come out' },
      {
        flags: '--exec <command>',
        help: 'Run this in a shell for each batch that comes out, with DW_BATCH_ID and DW_BATCH_STATUS in its environment; exit 1 when it fails',
      },
    ],
    examples: ['dw batches watch batch_abc123 batch_def456', 'dw batches watch --from-file batch-ids.txt'],
    exits: [...serverExits, 'failures', 'notCompleted', 'stillRunning'],
    prints: ['batch'],
    load: () => import('./wait.ts'),
  },
  {
    path: ['batches', 'results'],
    summary: 'Write the results of batches to a file or to standard output',
    arguments: [idsArgument],
    options: [
      {
        flags: '-o, --output-file <file>',
        help: 'Write to a file; failed requests go to <file>.errors.jsonl',
      },
      fromFileOption,
      { flags: '--include-errors', help: 'Put failed requests behind the answers of their batch' },
      {
        flags: '--merged',
        help: 'Of a batch and its retries: each request once, a later success in place of a failure',
      },
      {
        flags: '--order <order>',
        help: 'Order of ended batches (default: input)',
        choices: ['input', 'completed'],
      },
      allowFailuresOption,
    ],
    examples: [
      'dw batches results batch_abc123 -o results.jsonl',
      'dw batches results --from-file batch-ids.txt -o results.jsonl',
      'dw batches results batch_abc123 --include-errors',
      'dw batches results batch_abc123 --merged -o results.jsonl',
    ],
    exits: [...serverExits, 'failures', 'notCompleted', 'stillRunning'],
    prints: ['result-line'],
    load: () => import('./batches-results.ts'),
  },
  {
    path: ['batches', 'analytics'],
    summary: 'Show tokens, latencies, throughput and cost',
    arguments: [idsArgument],
    options: [fromFileOption],
    examples: ['dw batches analytics batch_abc123', 'dw batches analytics batch_abc123 batch_def456 --json'],
    exits: serverExits,
    prints: ['analytics'],
    load: () => import('./batches-analytics.ts'),
  },
  {
    path: ['batches', 'cancel'],
    summary: 'Cancel a batch; answers so far are kept',
    arguments: [idArgument],
    options: [{ flags: '-y, --yes', help: 'Do not ask' }],
    examples: ['dw batches cancel batch_abc123', 'dw batches cancel batch_abc123 --yes'],
    exits: serverExits,
    prints: ['batch'],
    load: () => import('./batches-cancel.ts'),
  },
  {
    path: ['batches', 'retry'],
    summary: 'Run the failed requests of a batch again, as a new batch',
    arguments: [idArgument],
    options: [
      { flags: '--include-cancelled', help: 'Also run what a cancel left out' },
      {
        flags: '--group <group>',
        help: 'Only requests that failed in this way (dw errors); may be given several times',
        isRepeatable: true,
      },
    ],
    examples: [
      'dw batches retry batch_abc123',
      'dw batches retry batch_abc123 --group 11090baeff',
      'dw batches retry batch_abc123 --include-cancelled',
    ],
    exits: [...serverExits, 'stillRunning'],
    prints: ['batch'],
    load: () => import('./batches-retry.ts'),
  },
]
