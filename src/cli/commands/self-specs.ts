/** Commands in which the command line describes itself, as data. */
import type { CommandSpec } from '../command.ts'

export const selfCommands: readonly CommandSpec[] = [
  {
    path: ['completion'],
    summary: 'Print the script that completes commands, options, ids and names in a shell',
    arguments: [
      {
        name: 'shell',
        help: 'Shell that will run the script',
        choices: ['bash', 'zsh', 'fish', 'powershell'],
      },
    ],
    options: [],
    examples: [
      'dw completion bash > dw-completion.bash',
      'dw completion zsh > _dw',
      'dw completion fish > dw.fish',
    ],
    exits: [],
    prints: ['bytes'],
    load: () => import('./completion.ts'),
  },
  {
    path: ['schema'],
    summary: 'Print the JSON Schema of what a command prints with --json',
    arguments: [
      { name: 'name', help: 'Name of a schema (default: list them)', isOptional: true, kind: 'schema' },
    ],
    options: [],
    examples: ['dw schema', 'dw schema batch', 'dw schema error --json'],
    exits: ['notFound'],
    prints: ['schema-entry', 'json-schema'],
    load: () => import('./schema.ts'),
  },
  {
    path: ['help'],
    summary: 'Show help for a command or a topic; with --json the map of all commands',
    arguments: [
      {
        name: 'words',
        help: 'A command or a topic (default: all commands)',
        isVariadic: true,
        isOptional: true,
        kind: 'topic',
      },
    ],
    options: [],
    examples: ['dw help', 'dw help batches run', 'dw help exit-codes', 'dw help --json'],
    exits: [],
    prints: ['command-map', 'bytes'],
    load: () => import('./help.ts'),
  },
]
