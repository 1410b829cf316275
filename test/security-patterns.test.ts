/** Every regular expression of the sources, run on long texts made to mislead it: none may take more than a moment. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createContext, runInContext } from 'node:vm'
import { URL_CHARACTERS_MAX } from '../src/domain/limits.ts'

const TEXT_BYTES = 100_000
/** Far above what a pattern takes that looks at each character once, far below one that looks at each pair. */
const MS_MAX = 1_000

/** Patterns that would be slow on TEXT_BYTES, and the bound of what they ever meet. */
const QUOTED = '/"[^"]*"|`[^`]*`|“[^”]*”|(?<![\\p{L}\\p{N}])\'[^\']*\'(?![\\p{L}\\p{N}])/gu'
const bounded: Record<string, { bytesMax: number; why: string }> = {
  '/\\/+$/': { bytesMax: URL_CHARACTERS_MAX, why: "an operator's URL, or the caller's own command line" },
  [QUOTED]: { bytesMax: 500, why: 'the beginning of an error message, cut before it is grouped' },
  '/0+$/': { bytesMax: 64, why: 'the digits of one amount of money' },
  '/\\.0+$/': { bytesMax: 64, why: 'a number that was just formatted' },
  '/\\B(?=(\\d{3})+$)/g': { bytesMax: 64, why: 'the digits of one number' },
}

/** The regular expressions of a source text: comments, strings and templates are passed over. */
function patternsOf(source: string): string[] {
  const found: string[] = []
  // One piece at a time: what is no comment, no string and no expression is a word, a space or a single character.
  const piece =
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*|[\w$]+|\s+|[\s\S]/gy
  let before = ''
  for (let match = piece.exec(source); match !== null; match = piece.exec(source)) {
    const [text] = match
    if (/^(\s|\/\/|\/\*)/.test(text)) continue
    if (text.length > 2 && text.startsWith('/')) {
      // Behind a value a slash divides.
      const divides = /[\w$)\]]$/.test(before) && !/^(return|typeof|case|in|of)$/.test(before)
      if (divides) {
        piece.lastIndex = match.index + 1
        before = '/'
        continue
      }
      found.push(text)
    }
    // A template may hold expressions of its own.
    if (text.startsWith('`'))
      for (const inner of text.matchAll(/\$\{([^}]*)\}/g)) found.push(...patternsOf(inner[1] ?? ''))
    before = text
  }
  return found
}

const places = new Map<string, string[]>()
for (const file of globSync('src/**/*.ts').toSorted()) {
  if (file.endsWith('.test.ts') || file.endsWith('-conformance.ts')) continue
  for (const pattern of patternsOf(readFileSync(file, 'utf8')))
    places.set(pattern, [...(places.get(pattern) ?? []), file])
}

/** What is made into a pattern while the program runs, and why that is no risk. */
const known: Record<string, string> = {
  'src/sim/plan.ts': 'made of a fixed list of words',
  'src/jsonl/tools/prepare.ts': "made of the caller's own words, for a file of its own, on its own machine",
}
const built = globSync('src/**/*.ts').filter(
  (file) => !file.endsWith('.test.ts') && readFileSync(file, 'utf8').includes('new RegExp('),
)

test('the scan sees patterns where they are, and nothing where they are not', () => {
  const source = [
    'const a = /x+/g.test(b) // not /this+/',
    "const c = 4 / d / 2, e = '/no+/', f = `/no+/ $" + "{g.replace(/y*/, '')}`",
    'return /[/]z\\/+$/u',
  ].join('\n')
  assert.deepEqual(patternsOf(source), ['/x+/g', '/y*/', '/[/]z\\/+$/u'])
  assert.ok(places.size > 40, `${places.size} patterns`)
  for (const file of built)
    assert.ok(file in known, `${file} builds a pattern from a text: look at it, and list it here`)
})

/** Texts that keep a pattern busy: runs of each character that it names, begun in the right way and ended in the wrong one. */
function misleading(pattern: string, bytes: number): string[] {
  const body = pattern.slice(1, pattern.lastIndexOf('/'))
  const plain = body.replaceAll(/\\[bBdDsSwWpP](\{[^}]*\})?|[\\^$()[\]{}|?*+.]/g, '')
  const characters = new Set(Array.from(`${plain} \t\n/\\0a_A."{[\u00e9\u0000\u2028漢`))
  const beginnings = ['', 'Bearer ', 'bytes=', '1', '{"id":"', '127.', 'a', plain.slice(0, 20)]
  const endings = ['', '!', '\u0000', 'x', ' y']
  const run = (unit: string): string => unit.repeat(Math.ceil(bytes / unit.length)).slice(0, bytes)
  const units = [
    ...characters,
    ...[...characters].slice(0, 8).map((character) => `${character} `),
    'ab',
    '0.',
    '/a',
    plain,
  ]
  return units
    .filter((unit) => unit !== '')
    .flatMap((unit, place) => [
      `${beginnings[place % beginnings.length]}${run(unit)}${endings[place % endings.length]}`,
      `${run(unit)}!`,
    ])
}

const context = createContext({ text: '' })

/** @returns milliseconds; a pattern that takes longer than MS_MAX is stopped, and throws. */
function timeOf(pattern: string, text: string): number {
  context.text = text
  const startedAt = performance.now()
  // As they are used: to test, to split or to replace every place.
  const flags = pattern.slice(pattern.lastIndexOf('/') + 1)
  const act = flags.includes('g') ? `text.replaceAll(${pattern}, '')` : `${pattern}.exec(text)`
  runInContext(act, context, { timeout: MS_MAX })
  return performance.now() - startedAt
}

for (const [pattern, files] of places) {
  const bound = bounded[pattern]
  const bytes = bound?.bytesMax ?? TEXT_BYTES
  test(`${pattern} of ${files.join(', ')} is quick on ${bytes} bytes`, () => {
    for (const text of misleading(pattern, bytes)) {
      try {
        timeOf(pattern, text)
      } catch (thrown) {
        assert.fail(`slow on ${JSON.stringify(text.slice(0, 30))}… of ${text.length}: ${String(thrown)}`)
      }
    }
  })
}

test('a bound is listed for patterns that are there, and is needed', () => {
  for (const pattern of Object.keys(bounded))
    assert.ok(places.has(pattern), `${pattern} is gone: take its bound away`)
})

test('a pattern that tries every way is caught', () => {
  assert.throws(() => misleading('/(a+)+$/', 100).map((text) => timeOf('/(a+)+$/', text)), /timed out/)
})
