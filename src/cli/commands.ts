/** All commands, as data. */
import type { CommandSpec } from './command.ts'
import { accountCommands } from './commands/account-specs.ts'
import { batchCommands } from './commands/batches.ts'
import { engineCommands } from './commands/engine-specs.ts'
import { fileToolCommands } from './commands/file-tools.ts'
import { fileCommands } from './commands/files.ts'
import { moneyCommands } from './commands/money-specs.ts'
import { runCommands } from './commands/run-specs.ts'
import { selfCommands } from './commands/self-specs.ts'
import { serverCommands } from './commands/server.ts'
import { setupCommands } from './commands/setup.ts'
import { verbCommands } from './commands/verbs-specs.ts'
import type { Group } from './help.ts'

/** The most used first. A name is a whole command, or a first word for all its commands that are not named whole. */
export const groups: readonly Group[] = [
  {
    summary: 'Run',
    names: ['run', 'stream', 'wait', 'watch', 'retry', 'cancel', 'batches run', 'batches create'],
  },
  { summary: 'Results', names: ['results', 'errors', 'list', 'get', 'open'] },
  { summary: 'Batches by their whole name', names: ['batches'] },
  { summary: 'Files', names: ['files'] },
  { summary: 'Models and engines', names: ['realtime', 'ask', 'models', 'upstream'] },
  { summary: 'Usage and notices', names: ['usage', 'webhooks'] },
  { summary: 'Server', names: ['serve', 'keys'] },
  {
    summary: 'Setup',
    names: ['login', 'logout', 'whoami', 'account', 'config', 'doctor', 'completion', 'schema', 'help'],
  },
]

export const commands: readonly CommandSpec[] = [
  ...runCommands,
  ...batchCommands,
  ...verbCommands,
  ...fileCommands,
  ...fileToolCommands,
  ...engineCommands,
  ...serverCommands,
  ...moneyCommands,
  ...setupCommands,
  ...accountCommands,
  ...selfCommands,
]
