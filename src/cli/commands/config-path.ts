import type { CommandContext } from '../command.ts'
import { configPath } from '../profiles.ts'

export async function run({ output, env }: CommandContext): Promise<number> {
  output.line(configPath(env))
  return 0
}
