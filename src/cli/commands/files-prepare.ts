import { isEndpoint } from '../../domain/batch.ts'
import { type Edit, editOf, parseEdit } from '../../jsonl/tools/edits.ts'
import type { Line } from '../../jsonl/tools/lines.ts'
import {
  idMatcher,
  type PrepareOptions,
  type PrepareTotals,
  prepareLines,
} from '../../jsonl/tools/prepare.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatNumber } from '../format.ts'
import { createImageLoader } from './image-loader.ts'
import { flagOption, integerOption, listOption, textOption } from './input.ts'
import {
  exitOf,
  findingsJson,
  inputLines,
  openInPlace,
  openTarget,
  STANDARD,
  type ToolInput,
  type ToolTarget,
  tellDone,
  tellFindings,
  toolDesk,
  toolInputs,
  writeTarget,
} from './tool-files.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const options = optionsOf(context, input)
  const to = textOption(input, 'outputFile')
  const isInPlace = flagOption(input, 'inPlace')
  const inputs = toolInputs(context, input.arguments)
  if (isInPlace && to !== null) throw usageError('Give --in-place or -o, not both.')
  if (isInPlace && inputs.some(({ path }) => path === STANDARD))
    throw usageError('Standard input cannot be changed in place.')
  if (!isInPlace && inputs.length > 1)
    throw usageError(`${inputs.length} files cannot become one.`, 'Give --in-place, or one file at a time.')
  const added = listOption(input, 'addLine')
  let findingsTotal = 0
  for (const source of inputs) {
    const target = isInPlace ? await openInPlace(source.path) : await openTarget(context, to, inputs)
    const totals = await prepare(context, { source, target, options, added })
    findingsTotal += totals.findings.total
    tell(context, { source, target, totals })
  }
  return exitOf(findingsTotal)
}

function optionsOf({ signal }: CommandContext, input: CommandInput): PrepareOptions {
  const edits: Edit[] = []
  const model = textOption(input, 'model')
  if (model !== null) edits.push(editOf(['body', 'model'], model))
  for (const [option, name] of [
    ['temperature', 'temperature'],
    ['topP', 'top_p'],
  ] as const) {
    const text = textOption(input, option)
    if (text !== null) edits.push(parseEdit(`body.${name}=${numberText(text, name)}`, false))
  }
  edits.push(...listOption(input, 'set').map((text) => parseEdit(text, false)))
  edits.push(...listOption(input, 'default').map((text) => parseEdit(text, true)))
  const endpoint = textOption(input, 'endpoint')
  const removed = textOption(input, 'removeLines')
  const folder = textOption(input, 'imageFolder') ?? process.cwd()
  return {
    edits,
    maxTokens: integerOption(input, 'maxTokens', { min: 1, max: Number.MAX_SAFE_INTEGER }),
    endpoint: endpoint !== null && isEndpoint(endpoint) ? endpoint : null,
    idPrefix: textOption(input, 'numberIds'),
    isRemoved: removed === null ? () => false : idMatcher(removed),
    loadImage: flagOption(input, 'encodeImages') ? createImageLoader(folder, signal) : null,
  }
}

/** The number as it was typed. */
function numberText(text: string, name: string): string {
  if (/^-?(0|[1-9]\d*)(\.\d+)?$/.test(text)) return text
  throw usageError(`--${name.replace('_', '-')} takes a number, not '${text}'.`)
}

type Work = { source: ToolInput; target: ToolTarget; options: PrepareOptions; added: readonly string[] }

function prepare(context: CommandContext, { source, target, options, added }: Work): Promise<PrepareTotals> {
  const batches = withAdded(inputLines(context, source.path), added)
  return writeTarget(target, async (write) => {
    const totals = await prepareLines(batches, { ...options, desk: toolDesk, write })
    return { result: totals, isFit: totals.findings.total === 0 }
  })
}

/** Added lines stand behind the last one and are prepared like it. */
async function* withAdded(batches: AsyncIterable<Line[]>, added: readonly string[]): AsyncGenerator<Line[]> {
  let lineNumber = 0
  for await (const batch of batches) {
    lineNumber = batch.at(-1)?.lineNumber ?? lineNumber
    yield batch
  }
  for (const text of added) {
    const bytes = Buffer.from(text.trim().replaceAll(/[\r\n]/g, ' '))
    lineNumber += 1
    yield [{ bytes, lineBytes: bytes.byteLength, lineNumber, offset: 0 }]
  }
}

function tell(
  { output }: CommandContext,
  { source, target, totals }: { source: ToolInput; target: ToolTarget; totals: PrepareTotals },
): void {
  const { total } = totals.findings
  const findings = totals.findings.kept()
  tellFindings(output, { name: source.name, findings, total })
  const removed = totals.removed === 0 ? '' : `, ${formatNumber(totals.removed, 'line')} left out`
  const images = totals.imagesEncoded === 0 ? '' : `, ${formatNumber(totals.imagesEncoded, 'image')} encoded`
  const counts = `${formatNumber(totals.written, 'line')}, ${totals.changed} changed${removed}${images}`
  const isWritten = total === 0 || target.isStdout
  tellDone(output, {
    facts: {
      path: source.name,
      output: target.name,
      written: isWritten,
      lines: totals.lines,
      changed: totals.changed,
      removed: totals.removed,
      images_encoded: totals.imagesEncoded,
      ...findingsJson({ findings, total }),
    },
    words: isWritten ? `${target.name}: ${counts}` : `${target.name}: not written`,
    isStdoutFree: !target.isStdout,
  })
}
