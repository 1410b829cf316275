/** The tools for local JSONL files as data. Each is imported only when it runs. */
import { ENDPOINTS } from '../../domain/batch.ts'
import type { Argument, CommandSpec, Option } from '../command.ts'

const filesArgument: Argument = {
  name: 'files',
  help: 'JSONL files, folders of which every .jsonl file is read, or - for standard input',
  isVariadic: true,
  kind: 'path',
}
const outputOption: Option = {
  flags: '-o, --output-file <file>',
  help: 'Write to a file, whole or not at all (default: standard output)',
}
const setOption: Option = {
  flags: '--set <path=json>',
  help: 'Set a value, for example body.top_p=0.9 or body.stop=["\\n"]; may be given several times',
  isRepeatable: true,
}
const endpointOption: Option = {
  flags: '--endpoint <url>',
  help: 'Endpoint of lines that name none',
  choices: ENDPOINTS,
}

export const fileToolCommands: readonly CommandSpec[] = [
  {
    path: ['files', 'stats'],
    summary: 'Count what local request files hold: lines, models, tokens, images',
    arguments: [filesArgument],
    options: [],
    examples: ['dw files stats batch.jsonl', 'dw files stats batches/ --json'],
    exits: ['invalidInput'],
    prints: ['file-stats'],
    load: () => import('./files-stats.ts'),
  },
  {
    path: ['files', 'prepare'],
    summary: 'Set fields, add missing ids and encode images, leaving every other byte as it is',
    arguments: [{ ...filesArgument, help: 'JSONL files or folders with --in-place, else one file or -' }],
    options: [
      { flags: '-m, --model <model>', help: 'Model of every request', kind: 'model' },
      { flags: '--temperature <number>', help: 'Temperature of every request' },
      { flags: '--top-p <number>', help: 'top_p of every request' },
      {
        flags: '--max-tokens <n>',
        help: 'Output tokens of every request, under the name its endpoint or the line itself uses',
      },
      setOption,
      { ...setOption, flags: '--default <path=json>', help: 'Set a value where a line has none' },
      endpointOption,
      { flags: '--number-ids <prefix>', help: 'Give every line a new id: the prefix and its line number' },
      { flags: '--remove-lines <text>', help: 'Leave out lines whose id holds this, or matches it with *' },
      {
        flags: '--add-line <json>',
        help: 'Add a request at the end; may be given several times',
        isRepeatable: true,
      },
      { flags: '--encode-images', help: 'Put images that lines name by path or URL into the lines' },
      {
        flags: '--image-folder <folder>',
        help: 'Folder of local images; others are refused (default: the current one)',
      },
      outputOption,
      { flags: '--in-place', help: 'Replace each file, whole or not at all' },
    ],
    examples: [
      'dw files prepare batch.jsonl --model sim/llama -o ready.jsonl',
      'dw files prepare batches/ --in-place --max-tokens 500 --set body.top_p=0.9',
    ],
    exits: ['invalidInput'],
    prints: ['request-line', 'file-prepared'],
    load: () => import('./files-prepare.ts'),
  },
  {
    path: ['files', 'sample'],
    summary: 'Draw lines at random, in the order of the file',
    arguments: [filesArgument],
    options: [
      { flags: '-n, --count <n>', help: 'How many lines to draw' },
      { flags: '--seed <n>', help: 'The same seed draws the same lines (default: a new one, which is told)' },
      outputOption,
    ],
    examples: [
      'dw files sample batch.jsonl -n 10 --seed 1',
      'dw files sample batch.jsonl -n 100 -o small.jsonl',
    ],
    exits: ['invalidInput'],
    prints: ['request-line', 'file-sampled'],
    load: () => import('./files-sample.ts'),
  },
  {
    path: ['files', 'merge'],
    summary: 'Put files together, refusing ids that meet',
    arguments: [filesArgument],
    options: [
      outputOption,
      { flags: '--prefix-ids', help: 'Put the name of its file before every id, so that none meet' },
    ],
    examples: [
      'dw files merge a.jsonl b.jsonl -o all.jsonl',
      'dw files merge batches/ --prefix-ids -o all.jsonl',
    ],
    exits: ['invalidInput'],
    prints: ['request-line', 'file-merged'],
    load: () => import('./files-merge.ts'),
  },
  {
    path: ['files', 'split'],
    summary: "Cut a file into parts within a service's limits",
    arguments: [{ name: 'file', help: 'A JSONL file, or - for standard input', kind: 'path' }],
    options: [
      { flags: '--chunk-size, --lines <n>', help: 'At most this many lines in a part' },
      { flags: '--bytes <size>', help: 'At most this many bytes in a part, for example 200MB' },
      { flags: '--tokens <n>', help: 'At most this many input tokens in a part, by estimate' },
      {
        flags: '--by-model',
        help: 'One model in a part. With no limit at all: this, 50,000 lines and 200MB',
      },
      { flags: '-o, --output-dir <folder>', help: 'Folder of the parts (default: that of the file)' },
      { flags: '--force', help: 'Replace parts of an earlier split' },
    ],
    examples: ['dw files split batch.jsonl', 'dw files split batch.jsonl --lines 1000 --by-model -o parts'],
    exits: ['invalidInput'],
    prints: ['file-part'],
    load: () => import('./files-split.ts'),
  },
  {
    path: ['files', 'diff'],
    summary: 'Compare two files by custom_id: added, removed and changed lines; exit 3 when they differ',
    arguments: [
      { name: 'a', help: 'A file of requests or results', kind: 'path' },
      { name: 'b', help: 'The file it is compared with', kind: 'path' },
    ],
    options: [
      {
        flags: '--ignore <path>',
        help: 'Leave out a value, for example body.seed; * is any one name; may be given several times',
        isRepeatable: true,
      },
      { flags: '--all', help: 'Compare also what differs between any two answers: ids, times, usage' },
    ],
    examples: [
      'dw files diff monday.jsonl tuesday.jsonl',
      'dw files diff a.jsonl b.jsonl --ignore body.seed --json',
    ],
    exits: ['invalidInput', 'failures'],
    prints: ['file-difference'],
    load: () => import('./files-diff.ts'),
  },
  {
    path: ['files', 'results-join'],
    summary: 'Put every request beside its result, in the order of the requests',
    arguments: [
      { name: 'requests', help: 'The request file', kind: 'path' },
      { name: 'results', help: 'Output and error files, also of retries', isVariadic: true, kind: 'path' },
    ],
    options: [
      outputOption,
      { flags: '--allow-failures', help: 'Exit 0 also when requests failed or have no result' },
    ],
    examples: [
      'dw files results-join batch.jsonl results.jsonl results.errors.jsonl -o joined.jsonl',
      'dw files results-join batch.jsonl results.jsonl',
    ],
    exits: ['invalidInput', 'failures'],
    prints: ['joined-line', 'file-joined'],
    load: () => import('./files-results-join.ts'),
  },
  {
    path: ['files', 'make'],
    summary: 'Make a request file from a table, JSONL or plain text',
    arguments: [
      { name: 'data', help: 'A .csv, .tsv, .jsonl or .txt file, or - for standard input', kind: 'path' },
    ],
    options: [
      {
        flags: '--prompt <template>',
        help: 'Prompt with columns in double braces, for example "Sum up: {{text}}"',
      },
      { flags: '--system <template>', help: 'System prompt, also with columns' },
      { flags: '-m, --model <model>', help: 'Model of every request', kind: 'model', setting: 'model' },
      { flags: '--id <column>', help: 'Column of the custom_id (default: row- and the number of the line)' },
      { ...endpointOption, help: 'Endpoint of the requests (default: /v1/chat/completions)' },
      setOption,
      {
        flags: '--from <format>',
        help: 'What the data is (default: by its name)',
        choices: ['csv', 'tsv', 'jsonl', 'txt'],
      },
      { flags: '--delimiter <character>', help: 'Separator of a table (default: found in its first line)' },
      outputOption,
    ],
    examples: [
      'dw files make reviews.csv --prompt "Summarise: {{text}}" --model sim/llama -o batch.jsonl',
      'dw files make words.txt --endpoint /v1/embeddings --prompt "{{text}}" --model sim/embed',
    ],
    exits: ['invalidInput'],
    prints: ['request-line', 'file-made'],
    load: () => import('./files-make.ts'),
  },
]
