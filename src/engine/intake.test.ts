import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { blobNames } from '../blobs/blobs.ts'
import { FINDINGS_SHOWN_MAX } from '../domain/limits.ts'
import { requestLine } from '../jsonl/inspect-bytes.ts'
import {
  decodeIndexEntry,
  decodeIndexHeader,
  INDEX_ENTRY_BYTES,
  INDEX_HEADER_BYTES,
} from '../jsonl/line-index.ts'
import { decodePlanHeader, LINE_PLAN_HEADER_BYTES } from '../jsonl/line-plan.ts'
import { RefusedError, TroubleError } from '../lib/errors.ts'
import { createSeededRandom } from '../lib/random.ts'
import { type Intake, startIntake } from './intake.ts'

const limits = { lineBytesMax: 1_000_000, fileBytesMax: 100_000_000, fileLinesMax: 1_000_000 }

async function withIntake(
  body: (intake: Intake, folder: string) => Promise<void>,
  options: Partial<typeof limits> & { prepare?: (folder: string) => void } = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  const { prepare, ...changed } = options
  prepare?.(folder)
  const intake = startIntake({
    blobFolder: folder,
    limits: { ...limits, ...changed },
    random: createSeededRandom(1),
    onDeath: (cause) => assert.fail(cause),
  })
  try {
    await body(intake, folder)
  } finally {
    await intake.stop()
    rmSync(folder, { recursive: true })
  }
}

test('an upload becomes a data blob with exactly its bytes and an index of its lines', async () => {
  await withIntake(async (intake, folder) => {
    const lines = Array.from({ length: 5000 }, (_, place) => requestLine({ custom_id: `id-${place}` }))
    const content = Buffer.from(`\n${lines.join('\r\n')}`)
    const upload = intake.begin('file-a')
    for (let at = 0; at < content.byteLength; at += 7919) await upload.write(content.subarray(at, at + 7919))
    const inspection = await upload.finish()

    assert.deepEqual(readdirSync(folder).sort(), ['file-a.data', 'file-a.index'])
    assert.ok(readFileSync(join(folder, blobNames.data('file-a'))).equals(content))
    assert.equal(inspection.sha256, createHash('sha256').update(content).digest('hex'))
    assert.equal(inspection.bytes, content.byteLength)
    assert.equal(inspection.lines, 5000)
    assert.deepEqual(inspection.endpoints, ['/v1/chat/completions'])
    assert.deepEqual(inspection.findings, [])

    const index = readFileSync(join(folder, blobNames.index('file-a')))
    assert.equal(decodeIndexHeader(index), 5000)
    assert.equal(index.byteLength, INDEX_HEADER_BYTES + 5000 * INDEX_ENTRY_BYTES)
    for (const [lineIndex, line] of lines.entries()) {
      const entry = decodeIndexEntry(index, INDEX_HEADER_BYTES + lineIndex * INDEX_ENTRY_BYTES)
      assert.equal(content.toString('utf8', entry.lineOffset, entry.lineOffset + entry.lineBytes), line)
      assert.equal(entry.lineNumber, lineIndex + 2)
    }
  })
})

test('a file with several models gets a plan: line indexes grouped by model, each group in input order', async () => {
  await withIntake(async (intake, folder) => {
    const models = Array.from({ length: 9000 }, (_, place) => `m${(place * place) % 7}`)
    const lines = models.map((model, place) => requestLine({ custom_id: `${place}` }, { model }))
    const upload = intake.begin('file-a')
    await upload.write(Buffer.from(lines.join('\n')))
    const inspection = await upload.finish()

    const plan = readFileSync(join(folder, blobNames.plan('file-a')))
    assert.deepEqual(decodePlanHeader(plan), { lines: 9000, models: inspection.models.length })
    let place = LINE_PLAN_HEADER_BYTES
    for (const share of inspection.models) {
      const expected = models.flatMap((model, lineIndex) => (model === share.model ? [lineIndex] : []))
      assert.equal(share.lines, expected.length)
      for (const lineIndex of expected) {
        assert.equal(plan.readUInt32LE(place), lineIndex)
        place += 4
      }
    }
    assert.equal(plan.byteLength, place)
  })
})

test('a file with bad lines is kept, with all findings as JSONL and the first ones in the inspection', async () => {
  await withIntake(async (intake, folder) => {
    const count = FINDINGS_SHOWN_MAX + 50
    const upload = intake.begin('file-a')
    await upload.write(Buffer.from(`nope\n`.repeat(count - 1) + requestLine({ method: 'GET' })))
    const inspection = await upload.finish()
    assert.equal(inspection.findingsTotal, count)
    assert.equal(inspection.findings.length, FINDINGS_SHOWN_MAX)
    assert.deepEqual(readdirSync(folder).sort(), ['file-a.data', 'file-a.findings', 'file-a.index'])
    const findings = readFileSync(join(folder, blobNames.findings('file-a')), 'utf8')
    const parsed = findings
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.equal(parsed.length, count)
    assert.deepEqual(parsed.at(-1), {
      line: count,
      param: 'method',
      code: 'invalid_value',
      message: "Invalid value: 'GET'. Supported values are: 'POST'.",
    })
  })
})

test('an empty upload is kept and says so', async () => {
  await withIntake(async (intake) => {
    const inspection = await intake.begin('file-a').finish()
    assert.equal(inspection.bytes, 0)
    assert.deepEqual(
      inspection.findings.map((finding) => finding.code),
      ['empty_file'],
    )
  })
})

test('uploads that run at the same time do not mix', async () => {
  await withIntake(async (intake, folder) => {
    const contents = Array.from({ length: 6 }, (_, upload) => {
      const lines = Array.from({ length: 2000 }, (_, place) =>
        requestLine({ custom_id: `${upload}-${place}` }),
      )
      return Buffer.from(lines.join('\n'))
    })
    const run = async (content: Buffer, place: number): Promise<void> => {
      const upload = intake.begin(`file-${place}`)
      const step = 5000 + place * 777
      for (let at = 0; at < content.byteLength; at += step)
        await upload.write(content.subarray(at, at + step))
      const inspection = await upload.finish()
      assert.equal(inspection.lines, 2000)
      assert.equal(inspection.findingsTotal, 0)
      assert.ok(readFileSync(join(folder, blobNames.data(`file-${place}`))).equals(content))
    }
    await Promise.all(contents.map(run))
  })
})

test('an aborted upload leaves nothing and takes nothing more', async () => {
  await withIntake(async (intake, folder) => {
    const upload = intake.begin('file-a')
    await upload.write(Buffer.from(`${requestLine()}\n`.repeat(20_000)))
    await upload.abort()
    await upload.abort()
    assert.deepEqual(readdirSync(folder), [])
    await assert.rejects(upload.write(Buffer.from('x')), TroubleError)
    await assert.rejects(upload.finish(), TroubleError)
  })
})

test('a file over the limit of bytes is refused while it comes, and leaves nothing', async () => {
  await withIntake(
    async (intake, folder) => {
      const upload = intake.begin('file-a')
      await upload.write(Buffer.alloc(600_000, 0x20))
      const isTooLarge = (thrown: unknown): boolean =>
        thrown instanceof RefusedError &&
        thrown.code === 'file_too_large' &&
        thrown.message.includes('1000000')
      await assert.rejects(upload.write(Buffer.alloc(600_000, 0x20)), isTooLarge)
      await assert.rejects(upload.finish(), isTooLarge)
      await upload.abort()
      assert.deepEqual(readdirSync(folder), [])
    },
    { fileBytesMax: 1_000_000 },
  )
})

test('what a stopped process left half done is removed at the start, and nothing else', async () => {
  const prepare = (folder: string): void => {
    for (const name of ['tmp-intake-file-a.data', 'tmp-intake-file-a.spill', 'file-b.data', 'tmp-put-1-c']) {
      writeFileSync(join(folder, name), 'x')
    }
  }
  await withIntake(
    async (intake, folder) => {
      await intake.begin('file-c').abort()
      assert.deepEqual(readdirSync(folder).sort(), ['file-b.data', 'tmp-put-1-c'])
    },
    { prepare },
  )
})

test('stopping ends uploads in progress and leaves nothing of them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    const options = { blobFolder: folder, limits, random: createSeededRandom(1) }
    const intake = startIntake({ ...options, onDeath: (cause) => assert.fail(cause) })
    const upload = intake.begin('file-a')
    await upload.write(Buffer.alloc(1_000_000, 0x20))
    await intake.stop()
    assert.deepEqual(readdirSync(folder), [])
    await assert.rejects(upload.finish(), TroubleError)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a folder that cannot be used is told through onDeath, and uploads fail', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    writeFileSync(join(folder, 'file'), '')
    const deaths: Error[] = []
    const intake = startIntake({
      blobFolder: join(folder, 'file', 'below'),
      limits,
      random: createSeededRandom(1),
      onDeath: (cause) => deaths.push(cause),
    })
    const upload = intake.begin('file-a')
    await assert.rejects(upload.finish(), TroubleError)
    await intake.stop()
    assert.equal(deaths.length, 1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
