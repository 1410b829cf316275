/**
 * Reads comma-separated values as RFC 4180 has them: fields may stand in quotes, and then hold separators, line breaks and doubled
 * quotes. Also other separators, line ends of any kind, and a byte order mark. Memory is one chunk and one record.
 */
import { LINE_BYTES_MAX } from '../../domain/limits.ts'
import { RefusedError } from '../../lib/errors.ts'

export type CsvRecord = {
  fields: string[]
  /** Line on which it begins. */
  lineNumber: number
}

export type CsvReader = {
  push(text: string): CsvRecord[]
  finish(): CsvRecord[]
}

const DELIMITERS = [',', ';', '\t', '|'] as const

/** The character that separates the names of a first line: the most frequent one outside of quotes. */
export function delimiterOf(head: string): string {
  const line = /^(?:"(?:[^"]|"")*"|[^"\r\n])*/.exec(head)?.[0] ?? ''
  const bare = line.replaceAll(/"(?:[^"]|"")*"/g, '')
  const counts = DELIMITERS.map((delimiter) => bare.split(delimiter).length)
  return DELIMITERS[counts.indexOf(Math.max(...counts))] ?? ','
}

/** @throws RefusedError `csv_record_too_long` from `push`, `csv_quote_open` from `finish` */
export function createCsvReader(delimiter: string): CsvReader {
  let fields: string[] = []
  let field = ''
  /** A quote that may be the first half of a doubled one stands at the end of what was read. */
  let state: 'start' | 'bare' | 'quoted' | 'quote' = 'start'
  let characters = 0
  let lineNumber = 1
  let recordLine = 1
  let wasReturn = false
  let records: CsvRecord[] = []

  const endField = (): void => {
    fields.push(field)
    field = ''
    state = 'start'
  }
  const endRecord = (): void => {
    // A blank line has no field at all.
    if (fields.length > 0 || state !== 'start') {
      endField()
      records.push({ fields, lineNumber: recordLine })
    }
    fields = []
    characters = 0
    lineNumber += 1
    recordLine = lineNumber
  }
  const grow = (text: string): void => {
    field += text
    characters += text.length
    if (characters <= LINE_BYTES_MAX) return
    const message = `The record that begins on line ${recordLine} is longer than ${LINE_BYTES_MAX} characters. Is a quote left open?`
    throw new RefusedError('csv_record_too_long', message)
  }
  const takeQuoted = (text: string, at: number): number => {
    const quote = text.indexOf('"', at)
    const end = quote === -1 ? text.length : quote
    const part = text.slice(at, end)
    lineNumber += countLineBreaks(part)
    grow(part)
    if (quote !== -1) state = 'quote'
    return end + 1
  }
  const takeBare = (text: string, at: number): number => {
    const character = text[at] ?? ''
    if (character === '"' && state === 'start') state = 'quoted'
    else if (character === '"' && state === 'quote') {
      grow('"')
      state = 'quoted'
    } else if (character === delimiter) endField()
    else if (character === '\n' || character === '\r') endRecord()
    else {
      let end = at + 1
      while (end < text.length && !isSpecial(text[end] ?? '', delimiter)) end += 1
      grow(text.slice(at, end))
      state = 'bare'
      return end
    }
    return at + 1
  }
  const take = (): CsvRecord[] => {
    const taken = records
    records = []
    return taken
  }
  return {
    push(text) {
      let at = 0
      while (at < text.length) {
        // The newline of a CRLF, which may stand in the next chunk.
        const isSecondHalf = wasReturn && text[at] === '\n'
        wasReturn = false
        if (isSecondHalf) at += 1
        else if (state === 'quoted') at = takeQuoted(text, at)
        else {
          wasReturn = text[at] === '\r'
          at = takeBare(text, at)
        }
      }
      return take()
    },
    finish() {
      if (state === 'quoted') {
        const message = `The quote opened in the record that begins on line ${recordLine} is never closed.`
        throw new RefusedError('csv_quote_open', message)
      }
      endRecord()
      return take()
    },
  }
}

function isSpecial(character: string, delimiter: string): boolean {
  return character === delimiter || character === '\n' || character === '\r' || character === '"'
}

function countLineBreaks(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count += 1
  return count
}
