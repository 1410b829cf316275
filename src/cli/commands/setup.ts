/** Commands about this command line itself, as data. */
import type { CommandSpec } from '../command.ts'

export const setupCommands: readonly CommandSpec[] = [
  {
    path: ['login'],
    summary: 'Store a server and its key as a profile',
    arguments: [{ name: 'url', help: 'Address of the server' }],
    options: [
      { flags: '--name <name>', help: 'Name of the profile (default: the host)' },
      { flags: '--key-stdin', help: 'Read the key from standard input' },
    ],
    examples: ['dw login https://batch.example.com', 'dw login http://127.0.0.1:4111 --key-stdin < key.txt'],
    load: () => import('./login.ts'),
  },
  {
    path: ['logout'],
    summary: 'Forget a profile',
    arguments: [{ name: 'name', help: 'Name of the profile (default: the active one)', isOptional: true }],
    options: [],
    examples: ['dw logout', 'dw logout batch.example.com'],
    load: () => import('./logout.ts'),
  },
  {
    path: ['config', 'show'],
    summary: 'Show which server is used and what named it',
    arguments: [],
    options: [],
    examples: ['dw config show', 'dw config show --json'],
    load: () => import('./config-show.ts'),
  },
]
