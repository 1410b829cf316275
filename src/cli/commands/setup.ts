/** Commands about this command line itself, as data. */
import type { CommandSpec } from '../command.ts'
import { serverExits } from '../exit-codes.ts'

export const setupCommands: readonly CommandSpec[] = [
  {
    path: ['login'],
    summary: 'Check a key against its server and store both as a profile',
    arguments: [{ name: 'url', help: 'Address of the server' }],
    options: [
      { flags: '--name <name>', help: 'Name of the profile (default: the host)' },
      { flags: '--key-stdin', help: 'Read the key from standard input' },
    ],
    examples: ['dw login https://batch.example.com', 'dw login http://127.0.0.1:4111 --key-stdin < key.txt'],
    exits: serverExits,
    prints: [],
    load: () => import('./login.ts'),
  },
  {
    path: ['logout'],
    summary: 'Forget a profile',
    arguments: [
      {
        name: 'name',
        help: 'Name of the profile (default: the active one)',
        isOptional: true,
        kind: 'profile',
      },
    ],
    options: [],
    examples: ['dw logout', 'dw logout batch.example.com'],
    exits: [],
    prints: [],
    load: () => import('./logout.ts'),
  },
  {
    path: ['config', 'show'],
    summary: 'Show which server and settings are used and what named them',
    arguments: [],
    options: [
      {
        flags: '--origin',
        help: 'Show where each value comes from: a flag, a variable, a file and its line',
      },
    ],
    examples: ['dw config show', 'dw config show --origin --json'],
    exits: [],
    prints: ['configuration'],
    load: () => import('./config-show.ts'),
  },
]
