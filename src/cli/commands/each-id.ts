/** Shows the objects of several ids, as another command lists them: one that cannot be shown does not keep the others back. */
import { errorFacts } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { groupedTroubles } from '../error-report.ts'
import { exitCode } from '../exit-codes.ts'
import type { View } from '../output.ts'
import { firstThatApplies } from '../summary-outcome.ts'

/** @returns the exit code @throws what was met, where there is one id alone */
export async function showEach<T>(
  ids: readonly string[],
  { output, signal }: Pick<CommandContext, 'output' | 'signal'>,
  { get, view }: { get: (id: string) => Promise<T>; view: View<T> },
): Promise<number> {
  const found: T[] = []
  const lost: { name: string; code: string; message: string; exitCode: number }[] = []
  for (const id of ids) {
    try {
      const one = await get(id)
      // A table is drawn once, lines are printed as they come.
      if (output.format === 'table') found.push(one)
      else output.object(one, view)
    } catch (thrown) {
      if (ids.length === 1 || signal.aborted) throw thrown
      lost.push({ name: id, ...errorFacts(thrown) })
    }
  }
  if (found.length > 0) output.rows(found, view)
  for (const line of groupedTroubles(lost)) output.warn(line)
  return lost.length === 0 ? exitCode('ok') : firstThatApplies(lost.map((one) => one.exitCode))
}
