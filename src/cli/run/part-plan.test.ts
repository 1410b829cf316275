import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunksOf } from '../../jsonl/tools/desk-for-tests.ts'
import { createSeededRandom } from '../../lib/random.ts'
import { cutParts, type Part, partLines } from './part-plan.ts'
import { noLimits, type ServiceLimits } from './service-limits.ts'

const seed = 11

function makeLines(count: number, models: readonly string[]): string[] {
  const random = createSeededRandom(seed)
  return Array.from({ length: count }, (_, number) => {
    const model = models[Math.floor(random.float() * models.length)]
    return JSON.stringify({
      custom_id: `r${number}`,
      body: { model, input: 'ä'.repeat(Math.floor(random.float() * 40)) },
    })
  })
}

async function cut(text: string, limits: Partial<ServiceLimits>, within?: Part): Promise<Part[]> {
  const bytes = Buffer.from(text)
  const whole: Part = within ?? { start: 0, end: bytes.byteLength, model: null, lines: 0 }
  const read = (): AsyncIterable<Uint8Array> => chunksOf(bytes.toString('utf8', whole.start, whole.end))
  return cutParts(whole, { read, limits: { ...noLimits, ...limits }, modelOverride: null })
}

async function textOf(text: string, part: Part): Promise<string> {
  const stretch = chunksOf(Buffer.from(text).toString('utf8', part.start, part.end), 13)
  const chunks: Buffer[] = []
  for await (const chunk of partLines(part, stretch)) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString()
}

for (const [name, models, limits] of [
  ['lines', ['a'], { linesMax: 7 }],
  ['bytes', ['a', 'b'], { bytesMax: 700 }],
  ['models', ['a', 'b', 'c'], { isByModel: true, linesMax: 9 }],
] as const) {
  test(`cut by ${name} every line is in exactly one part, within the limits, in its order`, async () => {
    const lines = makeLines(100, models)
    // Blank lines and a missing last newline, as people have them.
    const text = lines
      .map((line, number) => (number % 10 === 3 ? `${line}\r\n\n` : `${line}\n`))
      .join('')
      .trimEnd()
    const parts = await cut(text, limits)
    const found: string[] = []
    for (const part of parts) {
      const own = (await textOf(text, part))
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
      assert.equal(own.length, part.lines)
      found.push(...own)
      if ('linesMax' in limits) assert.ok(own.length <= limits.linesMax)
      if ('isByModel' in limits) assert.equal(new Set(own.map((line) => JSON.parse(line).body.model)).size, 1)
    }
    assert.ok(parts.length > 3)
    if (name === 'models') assert.deepEqual(found.toSorted(), lines.toSorted())
    else assert.deepEqual(found, lines)
  })
}

test('a part is cut again into parts of its own lines', async () => {
  const lines = makeLines(60, ['a', 'b'])
  const text = `${lines.join('\n')}\n`
  const [first] = await cut(text, { isByModel: true })
  assert.ok(first !== undefined)
  const smaller = await cut(text, { isByModel: true, linesMax: 5 }, first)
  const found: string[] = []
  for (const part of smaller) found.push(...(await textOf(text, part)).trimEnd().split('\n'))
  assert.deepEqual(
    found,
    lines.filter((line) => JSON.parse(line).body.model === first.model),
  )
})

test('a line that fits into no batch, and limits that make far too many, are refused', async () => {
  const text = makeLines(1_200, ['a']).join('\n')
  await assert.rejects(cut(text, { bytesMax: 20 }), { code: 'invalid_input' })
  await assert.rejects(cut(text, { linesMax: 1 }), { code: 'too_many_parts' })
})
