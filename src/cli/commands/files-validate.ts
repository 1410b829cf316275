import type { CommandContext, CommandInput } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { formatNumber } from '../format.ts'
import { findingLines } from '../summary-findings.ts'
import { checkInput, findInputs } from './batches-files.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  let isAllValid = true
  for (const path of findInputs(input.arguments).paths) {
    const { inspected } = await checkInput(path, {
      model: null,
      signal: context.signal,
      onProgress: () => undefined,
    })
    const isValid = inspected.findingsTotal === 0
    isAllValid &&= isValid
    const { lines, findings, findingsTotal } = inspected
    if (output.format === 'json')
      output.json({
        path,
        valid: isValid,
        requests: lines,
        findings_total: findingsTotal,
        findings: findings.map(({ code, message, param, lineNumber: line }) => ({
          code,
          message,
          param,
          line,
        })),
      })
    else
      output.line(
        `${path}: ${isValid ? 'valid' : formatNumber(findingsTotal, 'problem')}, ${formatNumber(lines, 'request')}`,
      )
    if (output.format !== 'json') for (const line of findingLines(findings, findingsTotal)) output.line(line)
  }
  return exitCode(isAllValid ? 'ok' : 'invalidInput')
}
