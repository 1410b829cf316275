/**
 * A command is data plus one function. `main.ts` builds the parser, the help and the exit code from it;
 * the function is imported only when its command runs, so `--help` stays instant.
 */
import type { Client } from '../client/client.ts'
import type { ExitName } from './exit-codes.ts'
import type { Setup } from './layers.ts'
import type { Output } from './output.ts'
import type { SchemaName } from './schemas/schemas.ts'
import type { SettingName } from './settings.ts'

export type CommandContext = {
  /** Lazily resolved: server, key and profile by the rules of docs/cli.md; fails with exit 4 or 9. */
  client(): Promise<Client>
  /** Same address, with the owner token of the local data folder, for admin routes. */
  admin(): Promise<Client>
  /** Address of that server, ending in its version; names it in local state. */
  serverUrl(): string
  /** The server lives in this process and ends with it (`--upstream`): nobody is sent to it for later. */
  isServerOwn?: boolean
  /** Where every value comes from; also without a server. */
  setup(): Setup
  output: Output
  env: NodeJS.ProcessEnv
  /** Aborts on the first Ctrl-C; what then happens is the command's choice. */
  signal: AbortSignal
  isInteractive: boolean
  isVerbose: boolean
  /** JSON was asked for by an option; `output.format` is JSON in any pipe. */
  isJsonAsked: boolean
}

/** What a value names; where it is known, completion offers such values and a mistyped one gets its nearest. */
export type ValueKind =
  | 'batch'
  | 'file'
  | 'model'
  | 'profile'
  | 'upstream'
  | 'key'
  | 'path'
  | 'topic'
  | 'schema'

export type Option = {
  /** For example `-w, --completion-window <window>`. */
  flags: string
  help: string
  isRepeatable?: boolean
  choices?: readonly string[]
  kind?: ValueKind
  /** Where the option is not given, this setting of the environment, the project or the profile is taken. */
  setting?: SettingName
}

export type Argument = {
  name: string
  help: string
  isVariadic?: boolean
  isOptional?: boolean
  choices?: readonly string[]
  kind?: ValueKind
}

export type CommandSpec = {
  /** Words of the command, for example `['batches', 'run']`. */
  path: readonly string[]
  summary: string
  arguments: readonly Argument[]
  options: readonly Option[]
  /** At least two runnable lines. */
  examples: readonly string[]
  /** Exit codes it can end with beyond those that every command can (`alwaysExits`); `serverExits` where it asks a server. */
  exits?: readonly ExitName[]
  /** Schemas of the lines it prints with --json (`dw schema`); `bytes`: data as it is. Empty: nothing on standard output. */
  prints?: readonly (SchemaName | 'bytes')[]
  /** Imports the module that runs it. @returns the exit code (docs/cli.md, "Exit codes"). */
  load(): Promise<{ run(context: CommandContext, input: CommandInput): Promise<number> }>
}

/** Positional values in order (variadic ones flattened), and options by camelCase name. */
export type CommandInput = {
  arguments: readonly string[]
  options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>
}
