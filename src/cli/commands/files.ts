/** The file commands as data. Each is imported only when it runs. */
import type { Argument, CommandSpec, Option } from '../command.ts'
import { serverExits } from '../exit-codes.ts'

const idArgument: Argument = { name: 'id', help: 'Id of the file', kind: 'file' }
const windowOption: Option = {
  flags: '-w, --completion-window <window>',
  help: 'Window whose price is asked for: 24h, 1h, … (default: 24h)',
  setting: 'completion_window',
}

export const fileCommands: readonly CommandSpec[] = [
  {
    path: ['files', 'upload'],
    summary: 'Upload a request file',
    arguments: [{ name: 'path', help: 'A JSONL file', kind: 'path' }],
    options: [{ flags: '-m, --model <model>', help: 'Replace the model of every request', kind: 'model' }],
    examples: ['dw files upload batch.jsonl', 'dw files upload batch.jsonl --json'],
    exits: serverExits,
    prints: ['file'],
    load: () => import('./files-upload.ts'),
  },
  {
    path: ['files', 'cost-estimate'],
    summary: 'Estimate tokens and cost of a file before it is run',
    arguments: [
      {
        name: 'file',
        help: 'Id of an uploaded file, or a local path (default: the file uploaded last)',
        isOptional: true,
        kind: 'file',
      },
    ],
    options: [windowOption],
    examples: [
      'dw files cost-estimate',
      'dw files cost-estimate --completion-window 1h',
      'dw files cost-estimate batch.jsonl',
    ],
    exits: [...serverExits, 'invalidInput'],
    prints: ['cost-estimate'],
    load: () => import('./files-estimate.ts'),
  },
  {
    path: ['files', 'list'],
    summary: 'List uploaded files, newest first',
    arguments: [],
    options: [
      { flags: '-n, --limit <n>', help: 'How many to show (default: 20)' },
      { flags: '--after <id>', help: 'Go on after this file', kind: 'file' },
      { flags: '--all', help: 'Show all, page by page' },
      { flags: '--purpose <purpose>', help: 'batch, batch_output, or all (default: batch)' },
    ],
    examples: ['dw files list', 'dw files list --purpose all --all --json'],
    exits: serverExits,
    prints: ['file'],
    load: () => import('./files-list.ts'),
  },
  {
    path: ['files', 'get'],
    summary: 'Show files',
    arguments: [{ name: 'ids', help: 'Ids of files', kind: 'file', isVariadic: true }],
    options: [],
    examples: ['dw files get file-abc123', 'dw files get file-abc123 --json'],
    exits: serverExits,
    prints: ['file'],
    load: () => import('./files-get.ts'),
  },
  {
    path: ['files', 'delete'],
    summary: 'Delete a file',
    arguments: [idArgument],
    options: [{ flags: '-y, --yes', help: 'Do not ask' }],
    examples: ['dw files delete file-abc123', 'dw files delete file-abc123 --yes'],
    exits: serverExits,
    prints: ['file-deleted'],
    load: () => import('./files-delete.ts'),
  },
  {
    path: ['files', 'content'],
    summary: 'Write the bytes of a file to a file or to standard output',
    arguments: [idArgument],
    options: [{ flags: '-o, --output-file <file>', help: 'Write to a file' }],
    examples: ['dw files content file-abc123', 'dw files content file-abc123 -o copy.jsonl'],
    exits: serverExits,
    prints: ['bytes'],
    load: () => import('./files-content.ts'),
  },
  {
    path: ['files', 'validate'],
    summary: 'Check local request files without sending anything',
    arguments: [{ name: 'paths', help: 'JSONL files', isVariadic: true, kind: 'path' }],
    options: [],
    examples: ['dw files validate batch.jsonl', 'dw files validate batch.jsonl --json'],
    exits: ['invalidInput'],
    prints: ['validation'],
    load: () => import('./files-validate.ts'),
  },
]
