import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { collect, lineText, openRig, TENANT } from '../../test/kit/service-rig.ts'
import type { LineContent } from './service.ts'

const rig = await openRig()
after(() => rig.close())

function present<T>(found: T | null): T {
  assert.ok(found !== null)
  return found
}

async function linesOf(content: LineContent | null): Promise<{ text: string; last: number; more: boolean }> {
  const { body, lastLine, isIncomplete, bytes } = present(content)
  const text = await collect(body)
  assert.equal(Buffer.byteLength(text), bytes)
  return { text, last: lastLine, more: isIncomplete }
}

test('any byte range of an input file is exactly those bytes', async () => {
  const text = `\ufeff\r\n${jsonl([chatLine(1, { content: 'Grüße, 日本' })])}\n\n{"bad"`
  const file = await rig.upload(text)
  const bytes = Buffer.from(text)
  const content = present(await rig.service.openContent(TENANT, file.id))
  assert.equal(content.bytes, bytes.byteLength)
  assert.equal(content.isIncomplete, false)
  for (let start = 0; start <= bytes.byteLength; start += 17) {
    for (const end of [start, Math.min(bytes.byteLength, start + 23), bytes.byteLength]) {
      assert.equal(await collect(content.read({ start, end })), bytes.toString('utf8', start, end))
    }
  }
})

test('request lines of an input file are counted without the blank ones', async () => {
  const lines = Array.from({ length: 600 }, (_, number) => JSON.stringify(chatLine(number)))
  const text = `\n${lines.join('\r\n\r\n')}`
  const file = await rig.upload(text)
  assert.deepEqual(await linesOf(await rig.service.openLines(TENANT, file.id, 0)), {
    text,
    last: 600,
    more: false,
  })
  const rest = await linesOf(await rig.service.openLines(TENANT, file.id, 300))
  assert.equal(rest.text, lines.slice(300).join('\r\n\r\n'))
  assert.equal(rest.last, 600)
  for (const beyond of [600, 601]) {
    const none = await linesOf(await rig.service.openLines(TENANT, file.id, beyond))
    assert.deepEqual(none, { text: '', last: beyond, more: false })
  }
})

test('the results of a live batch are read on from the line where a reader stopped, until the end is told', async () => {
  const input = await rig.upload(jsonl([0, 1, 2, 3].map((number) => chatLine(number))))
  const batch = await rig.create(input.id)
  const outputId = batch.outputFileIdReserved
  assert.equal(await rig.service.openLines(TENANT, outputId, 0), null)

  await rig.answer(batch.id, [
    { lineIndex: 2, outcome: 'succeeded' },
    { lineIndex: 0, outcome: 'succeeded' },
  ])
  const first = await linesOf(await rig.service.openLines(TENANT, outputId, 0))
  assert.deepEqual(first, { text: lineText(2) + lineText(0), last: 2, more: true })
  assert.deepEqual(await linesOf(await rig.service.openLines(TENANT, outputId, first.last)), {
    text: '',
    last: 2,
    more: true,
  })
  assert.equal(present(await rig.service.openContent(TENANT, outputId)).isIncomplete, true)
  await assert.rejects(rig.service.openInputOrder(TENANT, outputId), { code: 'not_ended', status: 409 })
  const running = present(await rig.service.getFile(TENANT, outputId))
  assert.equal(running.bytes, first.text.length)

  await rig.answer(batch.id, [
    { lineIndex: 1, outcome: 'succeeded' },
    { lineIndex: 3, outcome: 'failed' },
  ])
  await rig.end(batch.id, 'completed')
  assert.deepEqual(await linesOf(await rig.service.openLines(TENANT, outputId, first.last)), {
    text: lineText(1),
    last: 3,
    more: false,
  })
  assert.deepEqual(await linesOf(await rig.service.openInputOrder(TENANT, outputId)), {
    text: lineText(0) + lineText(1) + lineText(2),
    last: 3,
    more: false,
  })
  const content = present(await rig.service.openContent(TENANT, outputId))
  assert.equal(content.isIncomplete, false)
  assert.equal(content.file.bytes, content.bytes)
  assert.equal(await collect(content.read({ start: 1, end: 12 })), (lineText(2) + lineText(0)).slice(1, 12))
  assert.equal(await rig.read(batch.errorFileIdReserved), lineText(3))
})

test('all findings of a file can be read, none for a good one, and nothing of a foreign one', async () => {
  const bad = await rig.upload(`{"a":1}\n${'nope\n'.repeat(150)}`)
  const findings = await collect(present(await rig.service.openFindings(TENANT, bad.id)))
  const lines = findings.trimEnd().split('\n')
  assert.equal(lines.length, bad.inspection?.findingsTotal)
  assert.equal(JSON.parse(lines.at(-1) ?? '').line, 151)
  const good = await rig.upload(jsonl([chatLine(1)]))
  assert.equal(await collect(present(await rig.service.openFindings(TENANT, good.id))), '')
  assert.equal(await rig.service.openFindings('tenant_other', bad.id), null)
  assert.equal(await rig.service.openLines('tenant_other', bad.id, 0), null)
  assert.equal(await rig.service.openInputOrder('tenant_other', bad.id), null)
})
