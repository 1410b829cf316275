import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeChat } from 'gpt-tokenizer/encoding/o200k_base'
import { createSeededRandom } from '../lib/random.ts'
import { estimateTokens } from './estimate.ts'
import { inspectBytes, requestLine } from './inspect-bytes.ts'
import { SAMPLE_LINES_MAX } from './line-sample.ts'
import { countSamples, encodingOf, piecesOf } from './tokenizer.ts'

const words = 'Natalia sold clips to 48 of her friends in April, größer 漢字 und {"a": [1, 2]}'.split(' ')

async function inspect(lines: readonly string[]) {
  const { models, samples } = inspectBytes(`${lines.join('\n')}\n`)
  return { samples, shares: await countSamples(models, samples) }
}

test('a model is known by its family, whoever serves or tuned it; the others are not', () => {
  const known = ['gpt-4o-mini', 'openai/gpt-5-mini', 'ft:gpt-4.1:mine', 'o3', 'chatgpt-4o-latest']
  assert.deepEqual([...new Set(known.map(encodingOf))], ['o200k_base'])
  assert.equal(encodingOf('openai/gpt-oss-120b'), 'o200k_harmony')
  for (const model of ['gpt-4', 'gpt-4-turbo', 'gpt-3.5-turbo-0125', 'text-embedding-3-small'])
    assert.equal(encodingOf(model), 'cl100k_base')
  for (const model of ['m', 'sim/chat', 'gpt-40b-of-others', 'llama-3', 'o3d'])
    assert.equal(encodingOf(model), null)
})

test('the tokens of a long file are told from some of its lines, in any script, within a few percent', async () => {
  const random = createSeededRandom(7)
  const contents = Array.from({ length: 3_000 }, () =>
    Array.from(
      { length: 5 + Math.floor(random.float() * 80) },
      () => words[Math.floor(random.float() * words.length)],
    ).join(' '),
  )
  const { samples, shares } = await inspect(
    contents.map((content, number) =>
      requestLine({ custom_id: `${number}` }, { model: 'gpt-4o', messages: [{ role: 'user', content }] }),
    ),
  )
  assert.ok(samples.length > SAMPLE_LINES_MAX / 4 && samples.length <= SAMPLE_LINES_MAX, `${samples.length}`)
  const actual = contents.reduce(
    (sum, content) => sum + encodeChat([{ role: 'user', content }], 'gpt-4o').length,
    0,
  )
  const [estimate] = estimateTokens(shares, '/v1/chat/completions')
  assert.equal(estimate?.restsOn.input, 'tokenizer')
  assert.ok(
    Math.abs((estimate?.inputTokens ?? 0) / actual - 1) < 0.03,
    `${estimate?.inputTokens} of ${actual}`,
  )
})

test('text reads the same as UTF-8, as escapes and as token numbers, and an unknown model is not counted', async () => {
  const body = { model: 'gpt-4o', messages: [{ role: 'user', content: 'größer 漢字 <|endoftext|>' }] }
  const plain = requestLine({}, body)
  const escaped = plain.replace(
    /[\x80-\uffff]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  const [first] = (await inspect([plain])).shares
  const [second] = (await inspect([escaped])).shares
  assert.deepEqual(first?.counted, second?.counted)
  assert.equal(first?.counted?.promptBytes, Buffer.byteLength('größer 漢字 <|endoftext|>'))
  const numbers = requestLine(
    { url: '/v1/embeddings' },
    { model: 'text-embedding-3-small', messages: undefined, input: [1, 2, 3] },
  )
  assert.equal((await inspect([numbers])).shares[0]?.counted?.promptTokens, 3)
  const unknown = await inspect([requestLine({}, { model: 'mine' })])
  assert.deepEqual([unknown.samples, unknown.shares[0]?.counted], [[], undefined])
})

test('images take what the formula of their model says, by the size in their header', async () => {
  const png = Buffer.alloc(64)
  png.write('\x89PNG', 0, 'latin1')
  png.writeUInt32BE(2_048, 16)
  png.writeUInt32BE(4_096, 20)
  const url = `data:image/png;base64,${png.toString('base64')}`
  const withImage = (image: unknown, model = 'gpt-4o') =>
    requestLine(
      {},
      { model, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: image }] }] },
    )
  const framed = 7
  const other = async (line: string) => (await inspect([line])).shares[0]?.counted
  // The example of OpenAI's own page: 2048 by 4096 pixels are six tiles, 1105 tokens.
  assert.equal((await other(withImage({ url })))?.otherTokens, framed + 1_105)
  assert.equal((await other(withImage({ url, detail: 'low' })))?.otherTokens, framed + 85)
  // And of patches: 1024 by 1024 are 1024 of them.
  png.writeUInt32BE(1_024, 16)
  png.writeUInt32BE(1_024, 20)
  const square = `data:image/png;base64,${png.toString('base64')}`
  assert.equal(
    (await other(withImage({ url: square }, 'gpt-4.1-mini')))?.otherTokens,
    framed + Math.ceil(1_024 * 1.62),
  )
  assert.equal((await other(withImage({ url: 'https://example.com/a.png' })))?.imagesUnknown, 1)
})

test('no word is so long that counting it takes long', () => {
  assert.deepEqual([...piecesOf('ab '.repeat(600))].join(''), 'ab '.repeat(600))
  for (const text of ['x'.repeat(50_000), ' '.repeat(50_000), 'a b'.repeat(20_000)])
    for (const piece of piecesOf(text)) assert.ok(piece.length > 0 && piece.length <= 1_024)
})
