import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { FORM_FIELD_BYTES_MAX, FORM_HEADER_BYTES_MAX } from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'
import { readForm } from './form.ts'

type Read = { name: string | null; value: string; filename: string | null }

async function read(
  pieces: readonly Uint8Array[],
  contentType = 'multipart/form-data; boundary=limit',
): Promise<Read[]> {
  const request = Object.assign(Readable.from(pieces), { headers: { 'content-type': contentType } })
  const parts: Read[] = []
  for await (const part of readForm(request)) {
    const { name } = part
    if (part.kind === 'field') parts.push({ name, value: part.value, filename: null })
    else {
      const chunks: Buffer[] = []
      for await (const chunk of part.chunks) chunks.push(chunk)
      parts.push({ name, value: Buffer.concat(chunks).toString('latin1'), filename: part.filename })
    }
  }
  return parts
}

const isInvalid = (thrown: unknown): boolean =>
  thrown instanceof RefusedError && thrown.code === 'invalid_form'

/** Line ends and dashes that are nearly the boundary, and one that is it but for its last letter. */
const tricky = '{"a":1}\r\n--limi\r\n--\r\r\n--limiX\n\r\n-'
const form = Buffer.from(
  [
    'before',
    '--limit ',
    'Content-Disposition: form-data; name="purpose"',
    '',
    'batch',
    '--limit',
    'content-type: application/x-ndjson',
    'CONTENT-DISPOSITION: form-data; filename="C:\\\\up\\\\a \\"b\\".jsonl"; name=file',
    '',
    tricky,
    '--limit',
    'Content-Disposition: form-data; name="empty"',
    '',
    '',
    '--limit--',
    'behind',
  ].join('\r\n'),
)
const wanted: Read[] = [
  { name: 'purpose', value: 'batch', filename: null },
  { name: 'file', value: tricky, filename: 'a "b".jsonl' },
  { name: 'empty', value: '', filename: null },
]

test('wherever the network cuts a form, its parts are the same', async () => {
  assert.deepEqual(await read([form]), wanted)
  for (let at = 1; at < form.byteLength; at += 1)
    assert.deepEqual(await read([form.subarray(0, at), form.subarray(at)]), wanted, `cut at ${at}`)
  const single = Array.from(form, (byte) => Uint8Array.of(byte))
  assert.deepEqual(await read(single.map((byte) => Buffer.from(byte))), wanted)
})

test('a form that ends before its last boundary is refused, wherever it ends', async () => {
  const last = form.indexOf('--limit--') + '--limit-'.length
  for (let end = 0; end <= last; end += 1)
    await assert.rejects(read([form.subarray(0, end)]), isInvalid, `ends at ${end}`)
})

test('a file that is not read is passed over', async () => {
  const request = Object.assign(Readable.from([form.subarray(0, 150), form.subarray(150)]), {
    headers: { 'content-type': 'multipart/form-data; boundary="limit"' },
  })
  const names: (string | null)[] = []
  for await (const { name } of readForm(request)) names.push(name)
  assert.deepEqual(names, ['purpose', 'file', 'empty'])
})

test('a name beyond ASCII comes as it is, or percent-encoded', async () => {
  const named = (parameter: string): Buffer =>
    Buffer.from(`--limit\r\nContent-Disposition: form-data; name="file"; ${parameter}\r\n\r\nx\r\n--limit--`)
  for (const [parameter, filename] of [
    ['filename="grüße.jsonl"', 'grüße.jsonl'],
    ['filename="gr.jsonl"; filename*=utf-8\'\'gr%C3%BC%C3%9Fe.jsonl', 'grüße.jsonl'],
    ['filename="gr.jsonl"; filename*=utf-8\'\'gr%C3', 'gr.jsonl'],
  ] as const)
    assert.equal((await read([named(parameter)]))[0]?.filename, filename)
})

test('a form beyond a limit is refused before it is held', async () => {
  const field = `--limit\r\nContent-Disposition: form-data; name="a"\r\n\r\n`
  const long = 'x'.repeat(FORM_FIELD_BYTES_MAX + 1)
  await assert.rejects(read([Buffer.from(`${field}${long}\r\n--limit--`)]), /A field of the form has more/)
  await assert.rejects(
    read([Buffer.from(`--limit\r\nx: ${'y'.repeat(FORM_HEADER_BYTES_MAX)}`), Buffer.from('y'.repeat(100))]),
    /The headers of a part/,
  )
  await assert.rejects(read([Buffer.from(`${field}x\r\n`.repeat(17).concat('--limit--'))]), /too many parts/)
})

test('a body without a usable boundary is no form', async () => {
  for (const type of [
    'multipart/form-data',
    'multipart/mixed; boundary=limit',
    `multipart/form-data; boundary=${'b'.repeat(71)}`,
    'multipart/form-data; boundary=',
  ])
    await assert.rejects(read([form], type), isInvalid, type)
})
