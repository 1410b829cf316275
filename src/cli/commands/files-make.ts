import { extname } from 'node:path'
import { isEndpoint } from '../../domain/batch.ts'
import { type Edit, parseEdit } from '../../jsonl/tools/edits.ts'
import { type MakeOptions, makeRequests } from '../../jsonl/tools/make.ts'
import { ROW_FORMATS, type RowFormat } from '../../jsonl/tools/rows.ts'
import { parseTemplate } from '../../jsonl/tools/template.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatNumber } from '../format.ts'
import { argument, listOption, textOption } from './input.ts'
import { requireFile } from './local-file.ts'
import {
  exitOf,
  findingsJson,
  openTarget,
  readInput,
  STANDARD,
  tellDone,
  tellFindings,
  toolDesk,
  writeTarget,
} from './tool-files.ts'

const ENDPOINT_DEFAULT = '/v1/chat/completions'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const path = argument(input, 0)
  if (path !== STANDARD) requireFile(path)
  const options = optionsOf(input, path)
  const target = await openTarget(context, textOption(input, 'outputFile'), [{ path, name: path }])
  const totals = await writeTarget(target, async (write) => {
    const source = readInput(context, path)
    const made = await makeRequests({ ...options, desk: toolDesk, source, write })
    return { result: made, isFit: made.findings.total === 0 }
  })
  const { total } = totals.findings
  const findings = totals.findings.kept()
  tellFindings(output, { name: path === STANDARD ? 'standard input' : path, findings, total })
  const isWritten = total === 0 || target.isStdout
  tellDone(output, {
    facts: {
      output: target.name,
      written: isWritten,
      requests: totals.written,
      ...findingsJson({ findings, total }),
    },
    words: isWritten
      ? `${target.name}: ${formatNumber(totals.written, 'request')}`
      : `${target.name}: not written`,
    isStdoutFree: !target.isStdout,
  })
  return exitOf(total)
}

function optionsOf(input: CommandInput, path: string): Omit<MakeOptions, 'desk' | 'source' | 'write'> {
  const prompt = textOption(input, 'prompt')
  const model = textOption(input, 'model')
  if (prompt === null)
    throw usageError('What is asked? Give --prompt, for example --prompt "Summarise: {{text}}".')
  if (model === null) throw usageError('Of which model? Give --model NAME.')
  const system = textOption(input, 'system')
  const endpoint = textOption(input, 'endpoint') ?? ENDPOINT_DEFAULT
  const delimiter = textOption(input, 'delimiter')
  if (delimiter !== null && (delimiter.length !== 1 || /["\r\n]/.test(delimiter)))
    throw usageError(`--delimiter takes one character, not '${delimiter}'.`)
  if (!isEndpoint(endpoint)) throw usageError(`There is no endpoint ${endpoint}.`)
  if (system !== null && !SYSTEM_ENDPOINTS.has(endpoint))
    throw usageError(`${endpoint} takes no --system prompt.`)
  return {
    format: formatOf(textOption(input, 'from') ?? extname(path).slice(1).toLowerCase(), path),
    delimiter,
    prompt: parseTemplate(prompt),
    system: system === null ? null : parseTemplate(system),
    model,
    endpoint,
    idName: textOption(input, 'id'),
    edits: listOption(input, 'set').map((text): Edit => parseEdit(text, false)),
  }
}

const SYSTEM_ENDPOINTS: ReadonlySet<string> = new Set(['/v1/chat/completions', '/v1/responses'])
const OTHER_NAMES: Readonly<Record<string, RowFormat>> = {
  ndjson: 'jsonl',
  text: 'txt',
  md: 'txt',
  tab: 'tsv',
}

function formatOf(name: string, path: string): RowFormat {
  const format = ROW_FORMATS.find((candidate) => candidate === name) ?? OTHER_NAMES[name]
  if (format !== undefined) return format
  throw usageError(
    `What is in ${path === STANDARD ? 'standard input' : path}?`,
    `Give --from ${ROW_FORMATS.join(', --from ')}.`,
  )
}
