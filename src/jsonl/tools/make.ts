/** Makes a request of a row and a template. Pure, but for what it writes. */
import type { Endpoint } from '../../domain/batch.ts'
import { RefusedError } from '../../lib/errors.ts'
import { createFindingList, type FindingList } from '../finding-list.ts'
import { quote } from '../request-rules.ts'
import type { Desk } from './desk.ts'
import { applyEdits, type Edit } from './edits.ts'
import { createIdLedger } from './id-ledger.ts'
import { customIdOf, type ReportProblem } from './parse-line.ts'
import { type Row, type RowFormat, readRows } from './rows.ts'
import { latin1Of } from './splice.ts'
import type { Template } from './template.ts'

export type MakeOptions = {
  desk: Desk
  source: AsyncIterable<Uint8Array>
  format: RowFormat
  delimiter: string | null
  prompt: Template
  /** null where the endpoint takes none. */
  system: Template | null
  model: string
  endpoint: Endpoint
  /** Field with the custom_id; null: `row-` and the number of the line. */
  idName: string | null
  edits: readonly Edit[]
  write: (bytes: Uint8Array) => Promise<void>
}

export type MakeTotals = { written: number; findings: FindingList }

/** Guess: findings that are kept; the total counts all. */
const FINDINGS_HELD_MAX = 1_000

/** @throws RefusedError when the source or an option is unusable; TroubleError; what `write` throws */
export async function makeRequests(options: MakeOptions): Promise<MakeTotals> {
  const findings = createFindingList(FINDINGS_HELD_MAX)
  const totals: MakeTotals = { written: 0, findings }
  const reportAt =
    (lineNumber: number): ReportProblem =>
    ({ code, message }) =>
      findings.add({ code, message, param: null, lineNumber })
  const names = new Set([...options.prompt.names, ...(options.system?.names ?? [])])
  if (options.idName !== null) names.add(options.idName)
  const ledger = createIdLedger(options.desk)
  try {
    for await (const rows of readRows(options.source, { ...options, names: [...names], report: reportAt })) {
      const lines: string[] = []
      for (const row of rows) {
        const made = makeRequest(row, options, reportAt(row.lineNumber))
        if (made === null) continue
        ledger.add(made.customId, row.lineNumber)
        lines.push(made.text)
      }
      totals.written += lines.length
      if (lines.length > 0) await options.write(Buffer.from(`${lines.join('\n')}\n`, 'latin1'))
    }
    ledger.report(({ id, number, firstNumber }) => {
      const message = `The custom_id ${quote(id)} is the one of line ${firstNumber}.`
      reportAt(number)({ code: 'duplicate_custom_id', message })
    })
    return totals
  } finally {
    ledger.close()
  }
}

function makeRequest(
  row: Row,
  options: Pick<MakeOptions, 'prompt' | 'system' | 'model' | 'endpoint' | 'idName' | 'edits'>,
  report: ReportProblem,
): { text: string; customId: string } | null {
  const missing = new Set<string>()
  const fieldOf = (name: string): string => {
    const value = row.fieldOf(name)
    if (value === null) missing.add(name)
    return value ?? ''
  }
  const id = options.idName === null ? `row-${row.lineNumber}` : fieldOf(options.idName)
  const prompt = options.prompt.fill(fieldOf)
  const system = options.system?.fill(fieldOf) ?? null
  if (missing.size > 0) {
    report({ code: 'missing_field', message: `This row has no ${[...missing].join(', ')}.` })
    return null
  }
  const customId = customIdOf({ custom_id: id }, report)
  if (customId === null) return null
  const { model, endpoint: url } = options
  const body = bodyOf(url, { model, prompt, system })
  const text = latin1Of(JSON.stringify({ custom_id: customId, method: 'POST', url, body }))
  try {
    return { text: applyEdits(text, options.edits), customId }
  } catch (thrown) {
    if (!(thrown instanceof RefusedError)) throw thrown
    report(thrown)
    return null
  }
}

/** The other endpoints take no system prompt: the caller gives none. */
function bodyOf(
  endpoint: Endpoint,
  { model, prompt, system }: { model: string; prompt: string; system: string | null },
): object {
  switch (endpoint) {
    case '/v1/chat/completions': {
      const user = { role: 'user', content: prompt }
      return { model, messages: system === null ? [user] : [{ role: 'system', content: system }, user] }
    }
    case '/v1/responses':
      return system === null ? { model, input: prompt } : { model, instructions: system, input: prompt }
    case '/v1/completions':
      return { model, prompt }
    case '/v1/embeddings':
    case '/v1/moderations':
      return { model, input: prompt }
  }
}
