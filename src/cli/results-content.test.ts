import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Counted, countLines, type Opened, resumed, tapLines } from './results-content.ts'

async function* chunked(bytes: Uint8Array, cut: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += cut) yield bytes.subarray(at, at + cut)
}

async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}

class Cut extends Error {}

test('a file read over cut connections is the file, byte for byte', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 400 }),
      fc.array(fc.nat({ max: 50 }), { maxLength: 10 }),
      fc.integer({ min: 1, max: 60 }),
      fc.boolean(),
      async (file, cuts, chunkBytes, knowsRanges) => {
        const left = [...cuts]
        const open = async (fromByte: number): Promise<Opened> => {
          const startsAt = knowsRanges ? fromByte : 0
          const failAfter = left.shift()
          async function* body(): AsyncGenerator<Uint8Array> {
            let sent = 0
            for await (const chunk of chunked(file.subarray(startsAt), chunkBytes)) {
              if (failAfter !== undefined && sent >= failAfter) throw new Cut()
              sent += chunk.byteLength
              yield chunk
            }
          }
          return { body: body(), startsAt }
        }
        const parts: Uint8Array[] = []
        const signal = new AbortController().signal
        const isPassing = (thrown: unknown): boolean => thrown instanceof Cut
        for await (const part of resumed({ open, isPassing, signal, delayMs: () => 0 })) parts.push(part)
        assert.deepEqual(Buffer.concat(parts), Buffer.from(file))
      },
    ),
    { numRuns: 60 },
  )
})

test('a refusal ends the reading at once, and trouble that lasts ends it later', async () => {
  const signal = new AbortController().signal
  let asked = 0
  const open = (): Promise<Opened> => {
    asked += 1
    return Promise.reject(new Cut())
  }
  await assert.rejects(textOf(resumed({ open, isPassing: () => false, signal, delayMs: () => 0 })), Cut)
  assert.equal(asked, 1)
  await assert.rejects(textOf(resumed({ open, isPassing: () => true, signal, delayMs: () => 0 })), Cut)
  assert.equal(asked, 14)
})

test('lines are counted, shown and ended, wherever the chunks are cut', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', ' '))),
      fc.integer({ min: 1, max: 20 }),
      fc.boolean(),
      async (lines, cut, endsInNewline) => {
        // Without its newline an empty last line is no line.
        const kept = endsInNewline || lines.at(-1) !== '' ? lines : lines.slice(0, -1)
        const whole = kept.map((line) => `${line}\n`).join('')
        const sent = endsInNewline || kept.length === 0 ? whole : whole.slice(0, -1)
        if (!endsInNewline && kept.at(-1) === '') return
        const counted: Counted = { lines: 0 }
        const seen: string[] = []
        const text = await textOf(
          tapLines(countLines(chunked(Buffer.from(sent), cut), counted), (line) => seen.push(line)),
        )
        assert.equal(text, Buffer.from(whole).toString('utf8'))
        assert.equal(counted.lines, kept.length)
        assert.deepEqual(
          seen,
          kept.map((line) => Buffer.from(line).toString('utf8')),
        )
      },
    ),
  )
})
