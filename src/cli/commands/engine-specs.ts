/** Commands that ask models now, and that find engines, as data. */
import type { Argument, CommandSpec, Option } from '../command.ts'
import { serverExits } from '../exit-codes.ts'

const modelArgument: Argument = { name: 'model', help: 'Name of the model', kind: 'model' }

const realtimeArguments: readonly Argument[] = [
  modelArgument,
  {
    name: 'prompt',
    help: 'What to ask; text that is piped in follows below it',
    isVariadic: true,
    isOptional: true,
  },
]

const realtimeOptions: readonly Option[] = [
  { flags: '--system <text>', help: 'System prompt' },
  { flags: '--max-tokens <n>', help: 'Most tokens of the answer' },
  { flags: '--temperature <number>', help: 'Temperature' },
  { flags: '--usage', help: 'Tell tokens and time on stderr' },
  { flags: '--no-stream', help: 'Write the answer once it is whole' },
  { flags: '-o, --output-file <file>', help: 'Write to a file, whole or not at all' },
]

const realtime: Omit<CommandSpec, 'path' | 'summary' | 'examples'> = {
  arguments: realtimeArguments,
  options: realtimeOptions,
  exits: [...serverExits, 'failures'],
  prints: ['completion', 'bytes'],
  load: () => import('./realtime.ts'),
}

export const engineCommands: readonly CommandSpec[] = [
  {
    ...realtime,
    path: ['realtime'],
    summary: 'Ask a model now and write its answer as it comes; --json: the whole answer',
    examples: [
      'dw realtime sim/chat "Why is the sky blue?"',
      'dw realtime sim/echo "Sum this up:" --usage < words.txt',
      'dw realtime sim/echo "Name three rivers" --system "Be brief" --max-tokens 50 --json',
    ],
  },
  {
    ...realtime,
    path: ['ask'],
    summary: 'Short for dw realtime',
    examples: ['dw ask sim/echo "Why is the sky blue?"', 'dw ask sim/echo < words.txt'],
  },
  {
    path: ['models', 'get'],
    summary: 'Show who serves a model, whether it is simulated, and its price',
    arguments: [modelArgument],
    options: [],
    examples: ['dw models get sim/chat', 'dw models get sim/chat --json'],
    exits: serverExits,
    prints: ['model'],
    load: () => import('./models-get.ts'),
  },
  {
    path: ['upstream', 'scan'],
    summary: 'Look for engines at the usual ports of this machine, and offer to add them',
    arguments: [],
    options: [],
    examples: ['dw upstream scan', 'dw upstream scan --json'],
    exits: serverExits,
    prints: ['scanned-place'],
    load: () => import('./upstream-scan.ts'),
  },
]
