import { type Difference, type DiffTotals, diffFiles } from '../../jsonl/tools/diff.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatCount, oneLine } from '../format.ts'
import { flagOption, listOption } from './input.ts'
import { exitOf, inputLines, tellFindings, toolDesk, toolInputs, withReadable } from './tool-files.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const inputs = toolInputs(context, input.arguments)
  return withReadable(context, inputs, async ([a, b, ...others]) => {
    if (a === undefined || b === undefined || others.length > 0) throw usageError('Two files are compared.')
    const totals = await diffFiles({
      desk: toolDesk,
      pathA: a.path,
      readA: () => inputLines(context, a.path),
      readB: () => inputLines(context, b.path),
      ignored: listOption(input, 'ignore'),
      isAll: flagOption(input, 'all'),
      onDifference: (difference) =>
        output.bytes(Buffer.from(`${output.format === 'json' ? jsonOf(difference) : wordsOf(difference)}\n`)),
    })
    const { findingsA, findingsB } = totals
    tellFindings(output, { name: a.name, findings: findingsA.kept(), total: findingsA.total })
    tellFindings(output, { name: b.name, findings: findingsB.kept(), total: findingsB.total })
    output.say(totalWords(totals))
    const isSame = totals.added + totals.removed + totals.changed === 0
    return exitOf(findingsA.total + findingsB.total, isSame ? 'ok' : 'failures')
  })
}

function jsonOf({ change, customId, lineA, lineB, paths }: Difference): string {
  return JSON.stringify({ change, custom_id: customId, line_a: lineA, line_b: lineB, paths })
}

function wordsOf({ change, customId, lineA, lineB, paths }: Difference): string {
  const where = lineA !== null && lineB !== null ? `lines ${lineA} and ${lineB}` : `line ${lineA ?? lineB}`
  return `${change.padEnd(7)}  ${oneLine(customId)}  ${where}${paths.length === 0 ? '' : `: ${paths.map(oneLine).join(', ')}`}`
}

function totalWords({ added, removed, changed, same }: DiffTotals): string {
  return `${formatCount(added)} added, ${formatCount(removed)} removed, ${formatCount(changed)} changed, ${formatCount(same)} the same`
}
