import { type JoinTotals, joinResults } from '../../jsonl/tools/join.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { formatCount, formatNumber, oneLine } from '../format.ts'
import { argument, flagOption, textOption } from './input.ts'
import {
  findingsJson,
  inputLines,
  openTarget,
  tellDone,
  tellFindings,
  toolDesk,
  toolInputs,
  withReadable,
  writeTarget,
} from './tool-files.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const [requests, ...more] = toolInputs(context, [argument(input, 0)])
  if (requests === undefined || more.length > 0) throw usageError('Name one file of requests.')
  const inputs = [requests, ...toolInputs(context, input.arguments.slice(1))]
  return withReadable(context, inputs, async (readable) => {
    const target = await openTarget(context, textOption(input, 'outputFile'), inputs)
    const [first, ...results] = readable.map(({ name, path }) => ({
      name,
      path,
      read: () => inputLines(context, path),
    }))
    if (first === undefined) throw usageError('Name a file of requests.')
    const totals = await writeTarget(target, async (write) => ({
      result: await joinResults({ desk: toolDesk, requests: first, results, write }),
      isFit: true,
    }))
    const found = totals.findings.map((list, place) => ({
      name: inputs[place]?.name ?? '',
      findings: list.kept(),
      total: list.total,
    }))
    for (const one of found) tellFindings(output, one)
    if (totals.missing > 0) output.warn(missingWords(totals))
    tellDone(output, {
      facts: {
        output: target.name,
        requests: totals.requests,
        succeeded: totals.succeeded,
        failed: totals.failed,
        missing: totals.missing,
        files: found.map((one) => ({ path: one.name, ...findingsJson(one) })),
      },
      words: `${formatNumber(totals.requests, 'request')}: ${formatCount(totals.succeeded)} succeeded, ${formatCount(totals.failed)} failed, ${formatCount(totals.missing)} missing`,
      isStdoutFree: !target.isStdout,
    })
    return exitOfJoin(totals, flagOption(input, 'allowFailures'))
  })
}

function missingWords({ missing, missingIds }: JoinTotals): string {
  const more = missing > missingIds.length ? ` and ${formatCount(missing - missingIds.length)} more` : ''
  return `missing: ${missingIds.map(oneLine).join(', ')}${more}`
}

/** A result that belongs to no request, or a second one, is no failure of a request but is never passed over. */
function exitOfJoin({ failed, missing, findings }: JoinTotals, isAllowed: boolean): number {
  const findingsTotal = findings.reduce((sum, { total }) => sum + total, 0)
  if (findingsTotal > missing) return exitCode('invalidInput')
  return exitCode(failed + missing > 0 && !isAllowed ? 'failures' : 'ok')
}
