import { existsSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { PARTS_MAX, SERVICE_BYTES_MAX, SERVICE_LINES_MAX } from '../../domain/limits.ts'
import { PROMPT_BYTES_PER_TOKEN } from '../../jsonl/estimate.ts'
import { createFindingList, type FindingList } from '../../jsonl/finding-list.ts'
import { isObject, promptBytesOf } from '../../jsonl/prompt-bytes.ts'
import type { Line } from '../../jsonl/tools/lines.ts'
import { lineTooLong, parseLine, type ReportProblem } from '../../jsonl/tools/parse-line.ts'
import { createPartNames, createSplitPlan, type Part, type SplitLimits } from '../../jsonl/tools/split.ts'
import { RefusedError } from '../../lib/errors.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatBytes, formatNumber } from '../format.ts'
import type { View } from '../output.ts'
import { argument, flagOption, integerOption, textOption } from './input.ts'
import { leftOvers, openPartFiles } from './part-files.ts'
import { exitOf, inputLines, STANDARD, tellFindings, toolInputs } from './tool-files.ts'

const NEWLINE = Buffer.from('\n')
const FINDINGS_HELD_MAX = 1_000

type Split = {
  path: string
  folder: string
  stem: string
  limits: SplitLimits
  isByModel: boolean
  isForced: boolean
}

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const [source, ...others] = toolInputs(context, [argument(input, 0)])
  if (source === undefined || others.length > 0) throw usageError('Name one file to split.')
  const isStandard = source.path === STANDARD
  const split: Split = {
    path: source.path,
    folder: textOption(input, 'outputDir') ?? (isStandard ? '.' : dirname(source.path)),
    stem: isStandard ? 'stdin' : basename(source.path).replace(/\.jsonl$/, ''),
    ...limitsOf(input),
    isForced: flagOption(input, 'force'),
  }
  const findings = createFindingList(FINDINGS_HELD_MAX)
  const written = await writeParts(context, split, findings)
  tellFindings(output, { name: source.name, findings: findings.kept(), total: findings.total })
  if (findings.total > 0) output.warn('Nothing was written.')
  else {
    if (output.format === 'json')
      for (const { path, model, lines, bytes } of written) output.json({ path, model, lines, bytes })
    else output.rows(written, view)
    const leftOver = await leftOvers(
      split.folder,
      split.stem,
      new Set(written.map(({ path }) => basename(path))),
    )
    if (leftOver.length > 0)
      output.warn(
        `${split.folder} also holds ${formatNumber(leftOver.length, 'part')} of an earlier split, for example ${leftOver[0]}`,
      )
  }
  return exitOf(findings.total)
}

/** Limits that are named are the only ones; with none, those of OpenAI hold, the most common and the tightest. */
function limitsOf(input: CommandInput): { limits: SplitLimits; isByModel: boolean } {
  const bounds = { min: 1, max: Number.MAX_SAFE_INTEGER }
  const bytes = textOption(input, 'bytes')
  const limits = {
    linesMax: integerOption(input, 'lines', bounds),
    bytesMax: bytes === null ? null : sizeOf(bytes, '--bytes'),
    tokensMax: integerOption(input, 'tokens', bounds),
  }
  const isByModel = flagOption(input, 'byModel')
  const isNamed = isByModel || Object.values(limits).some((limit) => limit !== null)
  if (isNamed) return { limits, isByModel }
  return {
    limits: { linesMax: SERVICE_LINES_MAX, bytesMax: SERVICE_BYTES_MAX, tokensMax: null },
    isByModel: true,
  }
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1e3,
  kb: 1e3,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
}

/** `200MB` is 200 million bytes, `200MiB` a little more. */
export function sizeOf(text: string, flag: string): number {
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text) ?? []
  const bytes = Math.floor(Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN))
  if (number !== '' && bytes >= 1) return bytes
  throw usageError(`${flag} takes a size such as 200MB, 64MiB or 5000, not '${text}'.`)
}

type Written = Part & { path: string }

const view: View<Written> = {
  columns: [
    { title: 'Part', value: ({ path }) => path },
    { title: 'Model', value: ({ model }) => model },
    { title: 'Lines', value: ({ lines }) => String(lines), isNumber: true },
    { title: 'Size', value: ({ bytes }) => formatBytes(bytes), isNumber: true },
  ],
}

async function writeParts(context: CommandContext, split: Split, findings: FindingList): Promise<Written[]> {
  const plan = createSplitPlan(split.limits)
  const nameOf = createPartNames(split.stem)
  const files = await openPartFiles(split.folder)
  let isCommitted = false
  try {
    for await (const batch of inputLines(context, split.path)) {
      for (const line of batch) {
        const report: ReportProblem = ({ code, message }) =>
          findings.add({ code, message, param: null, lineNumber: line.lineNumber })
        const part = placeLine(line, { plan, split, report })
        if (part === null || line.bytes === null) continue
        const name = nameOf(part)
        if (part.lines === 1) requirePart(split, { name, parts: plan.parts.length })
        await files.append(name, Buffer.concat([line.bytes, NEWLINE]))
      }
    }
    if (findings.total > 0) return []
    if (plan.parts.length === 0) throw new RefusedError('invalid_input', 'There are no lines to split.')
    await files.commit()
    isCommitted = true
    return plan.parts.map((part) => ({ ...part, path: join(split.folder, nameOf(part)) }))
  } finally {
    if (!isCommitted) await files.abort()
  }
}

function placeLine(
  line: Line,
  { plan, split, report }: { plan: ReturnType<typeof createSplitPlan>; split: Split; report: ReportProblem },
): Part | null {
  if (line.bytes === null) {
    report(lineTooLong(line.lineBytes))
    return null
  }
  const bytes = line.lineBytes + NEWLINE.byteLength
  let model = ''
  let tokens = 0
  if (split.isByModel || split.limits.tokensMax !== null) {
    const body = parseLine(line, report)?.value.body
    if (isObject(body)) {
      if (split.isByModel && typeof body.model === 'string') model = body.model
      tokens = Math.round(promptBytesOf(body, Buffer.byteLength) / PROMPT_BYTES_PER_TOKEN)
    }
  }
  const part = plan.place({ model, bytes, tokens })
  if (part === null) {
    const message = `This line alone is over the limit: ${bytes} bytes, about ${tokens} tokens.`
    report({ code: 'line_over_limit', message })
  }
  return part
}

/** @throws RefusedError when the part would replace a file, or there are far too many */
function requirePart(split: Split, { name, parts }: { name: string; parts: number }): void {
  const path = join(split.folder, name)
  if (parts > PARTS_MAX)
    throw new RefusedError('too_many_parts', `These limits make more than ${PARTS_MAX} parts. Raise them.`)
  if (!split.isForced && existsSync(path))
    throw new RefusedError(
      'part_exists',
      `${path} is there already. Name another folder with -o, or give --force.`,
    )
}
