/** The tools that bring lines together by custom_id. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { chunksOf, createTestDesk, createWritten, linesOf } from './desk-for-tests.ts'
import { type Difference, diffFiles } from './diff.ts'
import { createIdLedger } from './id-ledger.ts'
import { joinResults } from './join.ts'
import { copyLines, findCollisions, prefixesOf } from './merge.ts'
import { createPagedNumbers } from './paged-numbers.ts'

const desk = createTestDesk()
after(() => {
  const leftOver = desk.leftOver()
  desk.remove()
  assert.deepEqual(leftOver, [])
})

async function diff(a: string[], b: string[], options: { ignored?: string[]; isAll?: boolean } = {}) {
  const differences: Difference[] = []
  const [textA, textB] = [a.join('\n'), b.join('\n')]
  const totals = await diffFiles({
    desk,
    pathA: desk.file('a', textA),
    readA: () => linesOf(textA),
    readB: () => linesOf(textB),
    ignored: options.ignored ?? [],
    isAll: options.isAll ?? false,
    onDifference: (difference) => void differences.push(difference),
  })
  return { differences, totals }
}

const row = (id: string, rest: string): string => `{"custom_id":"${id}",${rest}}`

test('added, removed and changed lines are named by id, line and path', async () => {
  const a = [
    row('1', '"body":{"x":1,"y":[1,2]}'),
    '',
    row('2', '"body":{}'),
    row('3', '"body":{"a":1,"b":2}'),
  ]
  const b = [row('3', '"body":{"b":2.0, "a":1}'), row('1', '"body":{"x":2,"y":[1,3]}'), row('4', '"body":{}')]
  const { differences, totals } = await diff(a, b)
  assert.deepEqual(differences, [
    { change: 'changed', customId: '1', lineA: 1, lineB: 2, paths: ['body.x', 'body.y.1'] },
    { change: 'added', customId: '4', lineA: null, lineB: 3, paths: [] },
    { change: 'removed', customId: '2', lineA: 3, lineB: null, paths: [] },
  ])
  assert.equal(totals.same, 1)
})

test('big integers that a double cannot tell apart are different', async () => {
  const { differences } = await diff(
    [row('1', '"n":12345678901234567890')],
    [row('1', '"n":12345678901234567891')],
  )
  assert.deepEqual(differences[0]?.paths, ['n'])
})

test('answers that differ in ids and usage alone say the same, unless all is asked for', async () => {
  const answer = (number: number, text: string): string =>
    row(
      '1',
      `"id":"r${number}","response":{"status_code":200,"body":{"id":"${number}","usage":${number},"text":"${text}"}},"error":null`,
    )
  assert.equal((await diff([answer(1, 'x')], [answer(2, 'x')])).totals.same, 1)
  assert.deepEqual((await diff([answer(1, 'x')], [answer(2, 'y')])).differences[0]?.paths, [
    'response.body.text',
  ])
  assert.equal((await diff([answer(1, 'x')], [answer(2, 'x')], { isAll: true })).totals.changed, 1)
})

test('a repeated id is compared once and named', async () => {
  const { totals } = await diff(
    [row('1', '"a":1'), row('1', '"a":2')],
    [row('1', '"a":1'), row('1', '"a":3'), '{}'],
  )
  assert.equal(totals.same, 1)
  assert.deepEqual(
    totals.findingsA.kept().map(({ code, lineNumber }) => `${code} ${lineNumber}`),
    ['duplicate_custom_id 2'],
  )
  assert.deepEqual(
    totals.findingsB.kept().map(({ code, lineNumber }) => `${code} ${lineNumber}`),
    ['duplicate_custom_id 2', 'no_custom_id 3'],
  )
})

async function join(requests: string[], ...results: string[][]) {
  const written = createWritten()
  const input = (lines: string[], name: string) => ({
    path: desk.file(name, lines.join('\n')),
    read: () => linesOf(lines.join('\n')),
  })
  const totals = await joinResults({
    desk,
    requests: input(requests, 'requests'),
    results: results.map((lines, place) => input(lines, `results-${place}`)),
    write: written.write,
  })
  const findings = totals.findings.map((list) =>
    list.kept().map(({ code, lineNumber }) => `${code} ${lineNumber}`),
  )
  return { rows: written.text().trimEnd().split('\n'), totals, findings }
}

const ok = (id: string, body = '{}'): string =>
  row(id, `"response":{"status_code":200,"body":${body}},"error":null`)
const bad = (id: string): string => row(id, '"response":null,"error":{"code":"x"}')

test('rows come in the order of the requests, with the bytes of both files; missing ones are named', async () => {
  const requests = [row('a', '"body":{"n":1.10}'), '', row('b', '"body":{}'), row('c', '"body":{}')]
  const { rows, totals, findings } = await join(requests, [
    ok('c', '{"n": 12345678901234567890}'),
    '',
    bad('a'),
  ])
  assert.deepEqual(rows, [
    '{"custom_id":"a","line":1,"status":"failed","request":{"n":1.10},"response":null,"error":{"code":"x"}}',
    '{"custom_id":"b","line":3,"status":"missing","request":{},"response":null,"error":null}',
    '{"custom_id":"c","line":4,"status":"succeeded","request":{},"response":{"status_code":200,"body":{"n": 12345678901234567890}},"error":null}',
  ])
  assert.deepEqual(findings, [['missing_result 3'], []])
  assert.deepEqual(totals.missingIds, ['b'])
})

test('a later success takes the place of a failure; second results, unknown ids and non-results are named', async () => {
  const { totals, findings } = await join(
    [row('a', '"body":{}'), row('b', '"body":{}'), row('b', '"body":{}')],
    [bad('a'), ok('b')],
    [ok('a'), ok('b'), ok('z'), row('a', '"body":{}')],
  )
  assert.equal(totals.succeeded, 2)
  assert.equal(totals.failed + totals.missing, 0)
  assert.deepEqual(findings, [
    ['duplicate_custom_id 3'],
    [],
    ['duplicate_result 2', 'unknown_custom_id 3', 'no_result 4'],
  ])
})

test('ids that meet are named with both places; prefixes keep them apart and change nothing else', async () => {
  const input = (text: string, name: string, prefix: string) => ({ name, read: () => linesOf(text), prefix })
  const [a, b] = [`${row('1', '"x":1.0')}\n${row('2', '"x":2')}`, `\n${row('2', '"x":3')}`]
  const [, inB] = await findCollisions([input(a, 'a', ''), input(b, 'b', '')], desk)
  assert.deepEqual(
    inB?.kept().map(({ lineNumber, message }) => [lineNumber, message]),
    [[2, "The custom_id '2' is the one of line 2 of a."]],
  )
  const apart = [input(a, 'a', 'a-'), input(b, 'b', 'b-')]
  assert.ok((await findCollisions(apart, desk)).every(({ total }) => total === 0))
  const written = createWritten()
  for (const one of apart) await copyLines(one, written.write)
  assert.equal(written.text(), `${row('a-1', '"x":1.0')}\n${row('a-2', '"x":2')}\n${row('b-2', '"x":3')}\n`)
})

test('no prefix is the beginning of another one', () => {
  assert.deepEqual(prefixesOf(['a', 'b']), ['a-', 'b-'])
  assert.deepEqual(prefixesOf(['a', 'a-b']), ['1-', '2-'])
  assert.deepEqual(prefixesOf(['a', 'a']), ['1-', '2-'])
})

test('numbers that do not fit in memory are found again in the temporary file', () => {
  const numbers = createPagedNumbers(desk, 'u32', { pagesHeldMax: 2 })
  const steps = Array.from({ length: 20_000 }, (_, step) => (step * 7919) % 20_000)
  for (const index of steps) numbers.set(index, index + 1)
  assert.ok(steps.every((index) => numbers.get(index) === index + 1))
  assert.equal(numbers.get(5_000_000), 0)
  numbers.close()
})

test('the ledger finds repeated ids among those that went to disk', () => {
  const ledger = createIdLedger(desk)
  const ids = Array.from({ length: 60_000 }, (_, number) => `ïd "${number % 59_999}"`)
  for (const [number, id] of ids.entries()) ledger.add(id, number + 1)
  const repeats: unknown[] = []
  ledger.report((repeat) => repeats.push(repeat))
  ledger.close()
  assert.deepEqual(repeats, [{ id: 'ïd "0"', number: 60_000, firstNumber: 1 }])
})

test('a chunk that is cut anywhere gives the same lines', async () => {
  const text = '\ufeff{"a":1}\r\n \n{"b":"ä"}\n\n{"c":3}'
  for (const cut of [1, 2, 5, 100]) {
    const seen: unknown[] = []
    for await (const batch of linesOf(text, cut))
      for (const { bytes, lineNumber, offset } of batch) seen.push([bytes?.toString(), lineNumber, offset])
    assert.deepEqual(seen, [
      ['{"a":1}', 1, 3],
      ['{"b":"ä"}', 3, 14],
      ['{"c":3}', 5, 26],
    ])
  }
  for await (const chunk of chunksOf('', 3)) assert.fail(String(chunk))
})
