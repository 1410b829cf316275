/** Commands that run and look after a server, as data. */
import { upstreamPresets } from '../../domain/upstream-presets.ts'
import type { Argument, CommandSpec } from '../command.ts'
import { serverExits } from '../exit-codes.ts'

const nameArgument: Argument = { name: 'name', help: 'Name of the upstream', kind: 'upstream' }

export const serverCommands: readonly CommandSpec[] = [
  {
    path: ['serve'],
    summary: 'Run the server and the engine on this machine',
    arguments: [],
    options: [
      {
        flags: '--host <host>',
        help: 'Address to listen on (default: 127.0.0.1; any other address needs a key)',
      },
      { flags: '--port <port>', help: 'Port to listen on (default: 4111, or the next free one)' },
      { flags: '--data-dir <folder>', help: 'Where everything is kept' },
      {
        flags: '--database <url>',
        help: 'PostgreSQL for the metadata: postgres://user@host/name; with a password rather DW_DATABASE (default: a file in the data folder)',
      },
      { flags: '--config <file>', help: 'Configuration file (TOML)' },
      { flags: '--require-key', help: 'Demand a key on loopback too' },
      { flags: '--sim', help: 'Serve the simulated model' },
      { flags: '--no-sim', help: 'Never serve the simulated model' },
    ],
    examples: ['dw serve', 'dw serve --port 8080 --data-dir ./data', 'dw serve --config dw.toml --json'],
    exits: ['unreachable'],
    prints: ['server'],
    load: () => import('./serve.ts'),
  },
  {
    path: ['upstream', 'add'],
    summary: 'Put an engine behind the server, once it lists models and answers a call of one token',
    arguments: [
      {
        name: 'engine',
        help: `Base URL of an OpenAI-compatible API, or one of: ${upstreamPresets.map(({ name }) => name).join(', ')}`,
      },
    ],
    options: [
      { flags: '--name <name>', help: 'Name to call it by (default: that of the preset, or from the URL)' },
      {
        flags: '--key-env <variable>',
        help: 'Environment variable that holds its key (default: that of the preset)',
      },
      { flags: '--key-file <file>', help: 'File that holds its key' },
      {
        flags: '--concurrency <n>',
        help: 'Requests in flight per model (default: that of the preset, or 64)',
      },
      {
        flags: '--models <names>',
        help: 'Models that it must serve, with commas between; each is tested (default: any one)',
      },
      { flags: '--no-test', help: 'Keep it as it is given, also when it does not answer' },
    ],
    examples: [
      'dw upstream add http://localhost:8000/v1',
      'dw upstream add ollama --no-test',
      'dw upstream add https://api.openai.com/v1 --key-env OPENAI_API_KEY --concurrency 16',
    ],
    exits: [...serverExits, 'invalidInput'],
    prints: ['upstream'],
    load: () => import('./upstream-add.ts'),
  },
  {
    path: ['upstream', 'list'],
    summary: 'List the engines, their state and models',
    arguments: [],
    options: [],
    examples: ['dw upstream list', 'dw upstream list --json'],
    exits: serverExits,
    prints: ['upstream'],
    load: () => import('./upstream-list.ts'),
  },
  {
    path: ['upstream', 'remove'],
    summary: 'Take an engine away',
    arguments: [nameArgument],
    options: [{ flags: '-y, --yes', help: 'Do not ask' }],
    examples: ['dw upstream remove localhost-8000', 'dw upstream remove openai --yes'],
    exits: serverExits,
    prints: ['upstream-removed'],
    load: () => import('./upstream-remove.ts'),
  },
  {
    path: ['upstream', 'test'],
    summary: 'Ask an engine for its models now',
    arguments: [nameArgument],
    options: [],
    examples: ['dw upstream test localhost-8000', 'dw upstream test openai --json'],
    exits: serverExits,
    prints: ['upstream'],
    load: () => import('./upstream-test.ts'),
  },
  {
    path: ['keys', 'create'],
    summary: 'Make a key; it is shown once',
    arguments: [],
    options: [
      { flags: '--name <name>', help: 'What it is for' },
      { flags: '--tenant <tenant>', help: 'Whose files and batches it sees (default: a new tenant)' },
      { flags: '--expires-in <duration>', help: 'For example 30d or 12h (default: never)' },
    ],
    examples: ['dw keys create --name ci', 'dw keys create --name laptop --tenant local --expires-in 30d'],
    exits: serverExits,
    prints: ['key'],
    load: () => import('./keys-create.ts'),
  },
  {
    path: ['keys', 'list'],
    summary: 'List keys without their secrets',
    arguments: [],
    options: [],
    examples: ['dw keys list', 'dw keys list --json'],
    exits: serverExits,
    prints: ['key'],
    load: () => import('./keys-list.ts'),
  },
  {
    path: ['keys', 'revoke'],
    summary: 'Make a key worthless at once',
    arguments: [{ name: 'id', help: 'Id of the key', kind: 'key' }],
    options: [{ flags: '-y, --yes', help: 'Do not ask' }],
    examples: ['dw keys revoke key_abc123', 'dw keys revoke key_abc123 --yes'],
    exits: serverExits,
    prints: ['key-revoked'],
    load: () => import('./keys-revoke.ts'),
  },
  {
    path: ['models', 'list'],
    summary: 'List the models that can be asked',
    arguments: [],
    options: [],
    examples: ['dw models list', 'dw models list --json'],
    exits: serverExits,
    prints: ['model'],
    load: () => import('./models-list.ts'),
  },
]
