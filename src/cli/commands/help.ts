import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { commandMap } from '../command-map.ts'
import { commands } from '../commands.ts'
import { errorText } from '../error-text.ts'
import { topics } from '../help.ts'
import { topicText } from '../help-topics.ts'
import { helpText } from '../parser.ts'
import { nearest, nearestCommand } from '../suggest.ts'

/** Help is the same text in a pipe; only --json asks for the map. */
export async function run({ output, isJsonAsked }: CommandContext, input: CommandInput): Promise<number> {
  const words = input.arguments
  if (words.length === 0 && isJsonAsked) output.json(commandMap())
  else output.line(pageOf(words).trimEnd())
  return 0
}

function pageOf(words: readonly string[]): string {
  const [topic = ''] = words
  if (words.length === 0) return helpText([])
  if (topic in topics && words.length === 1) return topicText(topic)
  const isKnown = commands.some(({ path }) => words.every((word, place) => path[place] === word))
  if (isKnown) return helpText(words)
  const explained = words.length === 1 ? errorText(topic) : null
  if (explained !== null) return explained
  const near = nearest(topic, Object.keys(topics)) ?? nearestCommand(words, commands)
  throw usageError(
    `There is no command and no topic '${words.join(' ')}'.`,
    near === null ? `Topics: ${Object.keys(topics).join(', ')}` : `Did you mean: dw help ${near}`,
  )
}
