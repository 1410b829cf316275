/** All commands, as data. */
import type { CommandSpec } from './command.ts'
import { batchCommands } from './commands/batches.ts'
import { fileToolCommands } from './commands/file-tools.ts'
import { fileCommands } from './commands/files.ts'
import { serverCommands } from './commands/server.ts'
import { setupCommands } from './commands/setup.ts'
import type { Group } from './help.ts'

export const groups: readonly Group[] = [
  { names: ['batches'], summary: 'Batches' },
  { names: ['files'], summary: 'Files' },
  { names: ['models'], summary: 'Models' },
  { names: ['serve'], summary: 'Server' },
  { names: ['upstream'], summary: 'Engines behind the server' },
  { names: ['keys'], summary: 'Keys to the server' },
  { names: ['login', 'logout', 'config'], summary: 'Setup' },
]

export const commands: readonly CommandSpec[] = [
  ...batchCommands,
  ...fileCommands,
  ...fileToolCommands,
  ...serverCommands,
  ...setupCommands,
]
