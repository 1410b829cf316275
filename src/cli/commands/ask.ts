/** Confirmation of what cannot be undone: asked on a terminal, demanded as a flag elsewhere. */
import { usageError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'

/** @param command what to run to go ahead without being asked. @returns whether to go ahead */
export async function confirmed(
  context: CommandContext,
  question: { text: string; isYes: boolean; command: string },
): Promise<boolean> {
  if (question.isYes) return true
  if (!context.isInteractive)
    throw usageError(
      `${question.text} Nothing was changed: there is no terminal to ask on.`,
      `To go ahead: ${question.command}`,
    )
  const { confirm, isCancel } = await import('@clack/prompts')
  const answer = await confirm({ message: question.text, initialValue: false, output: process.stderr })
  if (isCancel(answer) || !answer) {
    context.output.say('Nothing was changed.')
    return false
  }
  return true
}
