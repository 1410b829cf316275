import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemDisk } from '../lib/disk.ts'
import { systemRandom } from '../lib/random.ts'
import { requestLine } from './inspect-bytes.ts'
import { inspectFile } from './inspect-file.ts'

const options = { disk: systemDisk, random: systemRandom, lineBytesMax: 1_000_000, linesMax: 10_000_000 }

test('a local file is inspected with progress, finds a duplicate far away, and leaves nothing behind', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    const path = join(folder, 'a.jsonl')
    const lines = Array.from({ length: 20_000 }, (_, place) => requestLine({ custom_id: `${place}` }))
    writeFileSync(path, [...lines, lines[7]].join('\n'))
    const temporaryFolder = join(folder, 'temporary')
    mkdirSync(temporaryFolder)
    const progress: number[] = []
    const inspected = await inspectFile(path, {
      ...options,
      temporaryFolder,
      onProgress: (bytes) => progress.push(bytes),
    })
    assert.equal(inspected.lines, 20_001)
    assert.match(inspected.findings[0]?.message ?? '', /Line 8 has it first/)
    assert.ok(progress.length > 1)
    assert.equal(progress.at(-1), inspected.bytes)
    assert.deepEqual(readdirSync(temporaryFolder), [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('an aborted inspection ends with the reason of its signal', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    const path = join(folder, 'a.jsonl')
    writeFileSync(path, `${requestLine()}\n`.repeat(20_000))
    const controller = new AbortController()
    const inspecting = inspectFile(path, {
      ...options,
      temporaryFolder: folder,
      onProgress: () => controller.abort(new Error('enough')),
      signal: controller.signal,
    })
    await assert.rejects(inspecting, /enough/)
    assert.deepEqual(readdirSync(folder), ['a.jsonl'])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('hundreds of thousands of lines are inspected in flat memory, with their ids spilled', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    const path = join(folder, 'a.jsonl')
    const file = systemDisk.open(path, 'create')
    const body = requestLine().slice('{"custom_id":"a"'.length)
    let offset = 0
    for (let part = 0; part < 100; part += 1) {
      const lines = Array.from({ length: 7000 }, (_, place) => `{"custom_id":"${part}-${place}"${body}`)
      const bytes = Buffer.from(`${lines.join('\n')}\n`)
      systemDisk.write(file, bytes, offset)
      offset += bytes.byteLength
    }
    systemDisk.close(file)
    const before = process.memoryUsage.rss()
    let rssMax = 0
    const inspected = await inspectFile(path, {
      ...options,
      temporaryFolder: folder,
      onProgress: () => {
        rssMax = Math.max(rssMax, process.memoryUsage.rss())
      },
    })
    assert.equal(inspected.lines, 700_000)
    assert.equal(inspected.findingsTotal, 0)
    assert.ok(rssMax - before < 64 * 1024 * 1024, `grew by ${rssMax - before} bytes`)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
