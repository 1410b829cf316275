import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createCsvReader, delimiterOf } from './csv.ts'

function read(text: string, delimiter = ',', cut = 1): { fields: string[]; lineNumber: number }[] {
  const reader = createCsvReader(delimiter)
  const records = []
  for (let at = 0; at < text.length; at += cut) records.push(...reader.push(text.slice(at, at + cut)))
  return [...records, ...reader.finish()]
}

test('quotes, separators and line breaks inside quotes are part of a field, whatever the cut', () => {
  const text = 'a,b\r\n"x, ""y""\nz", plain "word"\r\n\r\n,\n"",""\nlast,'
  for (const cut of [1, 2, 3, 100]) {
    assert.deepEqual(read(text, ',', cut), [
      { fields: ['a', 'b'], lineNumber: 1 },
      { fields: ['x, "y"\nz', ' plain "word"'], lineNumber: 2 },
      { fields: ['', ''], lineNumber: 5 },
      { fields: ['', ''], lineNumber: 6 },
      { fields: ['last', ''], lineNumber: 7 },
    ])
  }
})

test('whatever was written in quotes is read back', () => {
  const quoted = (field: string): string => `"${field.replaceAll('"', '""')}"`
  fc.assert(
    fc.property(
      fc.array(fc.array(fc.string(), { minLength: 1 }), { minLength: 1 }),
      fc.integer({ min: 1, max: 9 }),
      (rows, cut) => {
        const text = rows.map((row) => row.map(quoted).join(',')).join('\r\n')
        assert.deepEqual(
          read(text, ',', cut).map(({ fields }) => fields),
          rows,
        )
      },
    ),
    { seed: 1, numRuns: 300 },
  )
})

test('a quote that never closes is refused with the line on which it opens', () => {
  assert.throws(() => read('a\n"b\nc'), { code: 'csv_quote_open', message: /line 2/ })
})

test('the separator is the most frequent one of the first line, outside of quotes', () => {
  assert.equal(delimiterOf('"a,b,c";d;e\n1,2,3'), ';')
  assert.equal(delimiterOf('id\ttext'), '\t')
  assert.equal(delimiterOf('alone'), ',')
})
