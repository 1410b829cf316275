/**
 * Puts files together so that every custom_id stays one line's own. Files are read twice: once to find ids that meet, once to copy.
 * Lines are copied byte for byte, but for their line end and, where asked for, the id.
 */
import { createFindingList, type FindingList } from '../finding-list.ts'
import { quote } from '../request-rules.ts'
import type { Desk } from './desk.ts'
import { createIdLedger } from './id-ledger.ts'
import type { Line } from './lines.ts'
import { customIdOf, parseLine } from './parse-line.ts'
import { latin1Of, setPath } from './splice.ts'

export type MergeInput = {
  name: string
  read: () => AsyncIterable<readonly Line[]>
  /** Put before every id of the file; '' leaves them as they are. */
  prefix: string
}

/** Guess: findings of one file that are kept; the totals count all. */
const FINDINGS_HELD_MAX = 1_000
const NEWLINE = Buffer.from('\n')

/** @returns findings of every input, in their order: lines that are no JSON or have no id, ids that an earlier line has @throws TroubleError */
export async function findCollisions(inputs: readonly MergeInput[], desk: Desk): Promise<FindingList[]> {
  const ledger = createIdLedger(desk)
  /** Number that the first line of each input would have, were they one file already. */
  const starts: number[] = []
  const found: FindingList[] = []
  let next = 1
  try {
    for (const input of inputs) {
      const findings = createFindingList(FINDINGS_HELD_MAX)
      found.push(findings)
      const start = next
      starts.push(start)
      for await (const batch of input.read()) {
        for (const line of batch) {
          next = start + line.lineNumber
          const report = ({ code, message }: { code: string; message: string }): void =>
            findings.add({ code, message, param: null, lineNumber: line.lineNumber })
          const parsed = parseLine(line, report)
          const id = parsed === null ? null : customIdOf(parsed.value, report)
          if (id !== null) ledger.add(input.prefix + id, start + line.lineNumber - 1)
        }
      }
    }
    const locate = (number: number): { place: number; lineNumber: number } => {
      const place = starts.findLastIndex((start) => start <= number)
      return { place, lineNumber: number - (starts[place] ?? 0) + 1 }
    }
    ledger.report(({ id, number, firstNumber }) => {
      const { place, lineNumber } = locate(number)
      const first = locate(firstNumber)
      const where = `line ${first.lineNumber} of ${inputs[first.place]?.name}`
      const message = `The custom_id ${quote(id)} is the one of ${where}.`
      found[place]?.add({ code: 'duplicate_custom_id', message, param: 'custom_id', lineNumber })
    })
    return found
  } finally {
    ledger.close()
  }
}

/** @returns the number of lines @throws what `write` throws */
export async function copyLines(
  input: Pick<MergeInput, 'read' | 'prefix'>,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<number> {
  let lines = 0
  for await (const batch of input.read()) {
    const parts: Buffer[] = []
    for (const line of batch) {
      if (line.bytes === null) continue
      parts.push(input.prefix === '' ? line.bytes : withPrefix(line, input.prefix), NEWLINE)
      lines += 1
    }
    await write(Buffer.concat(parts))
  }
  return lines
}

function withPrefix(line: Line, prefix: string): Buffer {
  const parsed = parseLine(line, () => undefined)
  const id = parsed?.value.custom_id
  if (parsed === null || typeof id !== 'string') return line.bytes ?? Buffer.alloc(0)
  const token = latin1Of(JSON.stringify(prefix + id))
  return Buffer.from(setPath(parsed.text, ['custom_id'], token), 'latin1')
}

/**
 * One prefix for each file, of its name where that is enough to keep ids apart: no prefix is the beginning of another, so that two
 * different ids never become one.
 */
export function prefixesOf(stems: readonly string[]): string[] {
  const named = stems.map((stem) => `${stem}-`)
  const isClear = named.every((prefix, place) =>
    named.every((other, otherPlace) => place === otherPlace || !other.startsWith(prefix)),
  )
  return isClear ? named : stems.map((_, place) => `${place + 1}-`)
}
