/**
 * A command is data plus one function. `main.ts` builds the parser, the help and the exit code from it;
 * the function is imported only when its command runs, so `--help` stays instant.
 */
import type { Client } from '../client/client.ts'
import type { Output } from './output.ts'

export type CommandContext = {
  /** Lazily resolved: server, key and profile by the rules of docs/cli.md; fails with exit 4 or 9. */
  client(): Promise<Client>
  /** Same address, with the owner token of the local data folder, for admin routes. */
  admin(): Promise<Client>
  /** Address of that server, ending in its version; names it in local state. */
  serverUrl(): string
  output: Output
  env: NodeJS.ProcessEnv
  /** Aborts on the first Ctrl-C; what then happens is the command's choice. */
  signal: AbortSignal
  isInteractive: boolean
  isVerbose: boolean
}

export type Option = {
  /** For example `-w, --completion-window <window>`. */
  flags: string
  help: string
  isRepeatable?: boolean
  choices?: readonly string[]
}

export type Argument = { name: string; help: string; isVariadic?: boolean; isOptional?: boolean }

export type CommandSpec = {
  /** Words of the command, for example `['batches', 'run']`. */
  path: readonly string[]
  summary: string
  arguments: readonly Argument[]
  options: readonly Option[]
  /** At least two runnable lines. */
  examples: readonly string[]
  /** Imports the module that runs it. @returns the exit code (docs/cli.md, "Exit codes"). */
  load(): Promise<{ run(context: CommandContext, input: CommandInput): Promise<number> }>
}

/** Positional values in order (variadic ones flattened), and options by camelCase name. */
export type CommandInput = {
  arguments: readonly string[]
  options: Readonly<Record<string, string | boolean | readonly string[] | undefined>>
}
