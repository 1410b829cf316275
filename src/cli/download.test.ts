import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { type Download, openDownload } from './download.ts'

const folder = mkdtempSync(join(tmpdir(), 'dw-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let folders = 0
function newPath(): string {
  folders += 1
  mkdirSync(join(folder, String(folders)))
  return join(folder, String(folders), 'a.jsonl')
}

class Cut extends Error {}

type Fetched = { bytes: number }

/** Fetches all pieces, cut after so many bytes. */
async function fetchAll(
  download: Download,
  pieces: readonly Buffer[],
  { cutAfter, fetched }: { cutAfter: number; fetched: Fetched },
): Promise<void> {
  let left = cutAfter
  for (const [number, piece] of pieces.entries()) {
    async function* from(fromByte: number): AsyncGenerator<Uint8Array> {
      for (let at = fromByte; at < piece.byteLength; at += 3) {
        if (left <= 0) throw new Cut()
        const chunk = piece.subarray(at, at + 3)
        left -= chunk.byteLength
        fetched.bytes += chunk.byteLength
        yield chunk
      }
    }
    for await (const chunk of download.read(number, from)) await download.write(chunk)
  }
}

test('R9: however often it is cut, the file is whole, nothing comes twice, and its name appears at the end', async () => {
  const pieceOf = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes.map((byte) => byte | 1)))
  await fc.assert(
    fc.asyncProperty(
      fc.array(pieceOf, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat({ max: 20 }), { maxLength: 6 }),
      async (pieces, cuts) => {
        const path = newPath()
        const plan = { source: 'http://server/v1', pieces: pieces.map((_, number) => `file-${number}`) }
        const fetched = { bytes: 0 }
        for (const cutAfter of [...cuts, Number.POSITIVE_INFINITY]) {
          const download = await openDownload(path, plan)
          assert.equal(download.keptBytes, fetched.bytes)
          try {
            await fetchAll(download, pieces, { cutAfter, fetched })
            assert.ok(!existsSync(path))
            await download.commit()
            break
          } catch (thrown) {
            assert.ok(thrown instanceof Cut)
            assert.equal(await download.suspend(), fetched.bytes === 0 ? null : `${path}.part`)
          }
        }
        const whole = Buffer.concat(pieces)
        assert.deepEqual(readFileSync(path), whole)
        assert.equal(fetched.bytes, whole.byteLength)
        assert.deepEqual(readdirSync(join(path, '..')), ['a.jsonl'])
      },
    ),
    { numRuns: 60 },
  )
})

const plan = { source: 'http://server/v1', pieces: ['file-1'] }
const piece = Buffer.from('{"a":1}\n{"a":2}\n{"a":3}\n')

async function cutAt(path: string, cutAfter: number): Promise<void> {
  const download = await openDownload(path, plan)
  await assert.rejects(fetchAll(download, [piece], { cutAfter, fetched: { bytes: 0 } }), Cut)
  await download.suspend()
}

test('another server or another file begins anew', async () => {
  for (const other of [
    { ...plan, source: 'http://other/v1' },
    { ...plan, pieces: ['file-2'] },
  ]) {
    const path = newPath()
    await cutAt(path, 12)
    const download = await openDownload(path, other)
    assert.equal(download.keptBytes, 0)
    await fetchAll(download, [piece], { cutAfter: Number.POSITIVE_INFINITY, fetched: { bytes: 0 } })
    await download.commit()
    assert.deepEqual(readFileSync(path), piece)
  }
})

test('what a power failure left unwritten is fetched again', async () => {
  const path = newPath()
  await cutAt(path, 18)
  truncateSync(`${path}.part`, 10)
  truncateSync(`${path}.part`, 17)
  const download = await openDownload(path, plan)
  const fetched = { bytes: 0 }
  await fetchAll(download, [piece], { cutAfter: Number.POSITIVE_INFINITY, fetched })
  await download.commit()
  assert.deepEqual(readFileSync(path), piece)
  assert.equal(fetched.bytes, piece.byteLength - 10)
})

test('a part that another process writes, or that is not ours, is left alone', async () => {
  const path = newPath()
  writeFileSync(`${path}.part`, 'mine')
  const own = await openDownload(path, plan)
  await fetchAll(own, [piece], { cutAfter: Number.POSITIVE_INFINITY, fetched: { bytes: 0 } })
  await own.commit()
  assert.deepEqual(readFileSync(path), piece)
  assert.equal(readFileSync(`${path}.part`, 'utf8'), 'mine')

  const shared = newPath()
  await cutAt(shared, 12)
  const journal = JSON.parse(readFileSync(`${shared}.part.journal`, 'utf8'))
  // The parent of this process is alive for as long as it is.
  writeFileSync(`${shared}.part.journal`, JSON.stringify({ ...journal, pid: process.ppid }))
  const second = await openDownload(shared, plan)
  assert.equal(second.keptBytes, 0)
  await fetchAll(second, [piece], { cutAfter: Number.POSITIVE_INFINITY, fetched: { bytes: 0 } })
  await second.commit()
  assert.deepEqual(readFileSync(shared), piece)
  assert.equal(readFileSync(`${shared}.part`).byteLength, 12)
})

test('a journal that is damaged is no reason to believe the part', async () => {
  const path = newPath()
  await cutAt(path, 12)
  writeFileSync(`${path}.part.journal`, '{"version":1,')
  const download = await openDownload(path, plan)
  assert.equal(download.keptBytes, 0)
  await download.abort()
  assert.deepEqual(readdirSync(join(path, '..')), [])
})
