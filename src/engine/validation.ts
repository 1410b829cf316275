/** The validating step of a batch: is its input there, does it hold what the batch says, are its models served? */
import type { Batch, Finding } from '../domain/batch.ts'
import type { StoredFile } from '../domain/file.ts'
import { FINDINGS_SHOWN_MAX, WINDOW_LINES_MAX } from '../domain/limits.ts'
import type { LineReader } from './line-reader.ts'

export type Verdict =
  | { isValid: true; model: string | null; lines: number }
  | { isValid: false; findings: Finding[]; findingsTotal: number }

/** @param file null: no such file of this tenant. */
export async function validateBatch(
  batch: Batch,
  file: StoredFile | null,
  parts: { reader: (file: StoredFile) => LineReader; isUnknownModel: (model: string) => boolean },
): Promise<Verdict> {
  const inspection = file?.inspection ?? null
  if (file === null || inspection === null || file.tenantId !== batch.tenantId)
    return failedWith([missingFile(batch)])
  if (inspection.findingsTotal > 0) {
    return {
      isValid: false,
      findings: inspection.findings.slice(0, FINDINGS_SHOWN_MAX),
      findingsTotal: inspection.findingsTotal,
    }
  }
  if (inspection.endpoints.some((endpoint) => endpoint !== batch.endpoint)) {
    const first = await firstLines(parts.reader(file), inspection.lines, () => true)
    return failedWith(
      first.map((lineNumber) => wrongEndpoint(batch, inspection.endpoints, lineNumber)),
      inspection.lines,
    )
  }
  const unknown = inspection.models.filter(({ model }) => parts.isUnknownModel(model))
  if (unknown.length > 0) {
    const numbers = new Set(
      unknown.map(({ model }) => inspection.models.findIndex((share) => share.model === model)),
    )
    const first = await firstLines(parts.reader(file), inspection.lines, (modelNumber) =>
      numbers.has(modelNumber),
    )
    const names = unknown
      .map(({ model }) => `'${model}'`)
      .slice(0, 5)
      .join(', ')
    const total = unknown.reduce((sum, share) => sum + share.lines, 0)
    return failedWith(
      first.map((lineNumber) => unknownModel(names, lineNumber)),
      total,
    )
  }
  const [only, ...others] = inspection.models
  return {
    isValid: true,
    model: only !== undefined && others.length === 0 ? only.model : null,
    lines: inspection.lines,
  }
}

function failedWith(findings: Finding[], findingsTotal = findings.length): Verdict {
  return { isValid: false, findings, findingsTotal }
}

/** Line numbers of the first lines that match, at most as many as a batch shows. */
async function firstLines(
  reader: LineReader,
  lines: number,
  matches: (modelNumber: number) => boolean,
): Promise<number[]> {
  const found: number[] = []
  for (let from = 0; from < lines && found.length < FINDINGS_SHOWN_MAX; from += WINDOW_LINES_MAX) {
    const entries = await reader.entries(from, Math.min(lines, from + WINDOW_LINES_MAX))
    for (const entry of entries) if (matches(entry.modelNumber)) found.push(entry.lineNumber)
  }
  return found.slice(0, FINDINGS_SHOWN_MAX)
}

function missingFile(batch: Batch): Finding {
  return {
    code: 'invalid_request',
    message: `Cannot find file ${batch.inputFileId}, or organization ${batch.tenantId} does not have access to it.`,
    param: 'file_id',
    lineNumber: null,
  }
}

function wrongEndpoint(batch: Batch, endpoints: readonly string[], lineNumber: number): Finding {
  return {
    code: 'invalid_url',
    message: `The URL provided for this request does not match the batch endpoint: the line has ${endpoints.join(', ')}, the batch ${batch.endpoint}.`,
    param: 'url',
    lineNumber,
  }
}

function unknownModel(names: string, lineNumber: number): Finding {
  return {
    code: 'model_not_found',
    message: `The provided model is not served here: no upstream lists ${names}. \`dw models list\` shows what is served.`,
    param: 'body.model',
    lineNumber,
  }
}
