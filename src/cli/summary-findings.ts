/** What is wrong with a request file, grouped by kind with the numbers of the lines. Pure. */
import { cutTo, formatCount, formatNumber, oneLine } from './format.ts'

/** Of a local inspection or of a server's reply. */
export type ShownFinding = {
  code: string | null
  message: string
  param: string | null
  lineNumber: number | null
}

/** Guess: kinds, and line numbers of one kind, that a person reads. */
const GROUPS_SHOWN_MAX = 12
const LINES_SHOWN_MAX = 10
const MESSAGE_COLUMNS_MAX = 160

/** @param total of all findings, which may be more than are given */
export function findingLines(findings: readonly ShownFinding[], total: number): string[] {
  const groups = new Map<string, ShownFinding[]>()
  for (const finding of findings) {
    const kind = `${finding.code ?? 'invalid'} ${finding.param ?? ''}`
    const group = groups.get(kind)
    if (group === undefined) groups.set(kind, [finding])
    else group.push(finding)
  }
  const lines = [...groups.values()].slice(0, GROUPS_SHOWN_MAX).map(groupLine)
  if (groups.size > GROUPS_SHOWN_MAX)
    lines.push(`and ${formatNumber(groups.size - GROUPS_SHOWN_MAX, 'more kind')}`)
  if (total > findings.length) lines.push(`${formatCount(total - findings.length)} more are not listed here`)
  return lines
}

function groupLine(group: readonly ShownFinding[]): string {
  const code = group[0]?.code ?? 'invalid'
  const numbers = group.flatMap(({ lineNumber }) => (lineNumber === null ? [] : [lineNumber]))
  const message = cutTo(oneLine(group[0]?.message ?? ''), MESSAGE_COLUMNS_MAX)
  if (numbers.length === 0) return `${oneLine(code)}: ${message}`
  const shown = numbers.slice(0, LINES_SHOWN_MAX).join(', ')
  const more =
    numbers.length > LINES_SHOWN_MAX ? ` and ${formatCount(numbers.length - LINES_SHOWN_MAX)} more` : ''
  return `${oneLine(code)}: ${numbers.length === 1 ? 'line' : 'lines'} ${shown}${more}: ${message}`
}
