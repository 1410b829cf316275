/** What every implementation of `Blobs` does. Run by the test file of each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BugError, TroubleError } from '../lib/errors.ts'
import type { Blobs } from './blobs.ts'

export type BlobsUnderTest = { blobs: Blobs; dispose(): Promise<void> }

export function testBlobs(implementation: string, open: () => Promise<BlobsUnderTest>): void {
  const check = (name: string, body: (blobs: Blobs) => Promise<void>): void => {
    test(`${implementation}: ${name}`, async () => {
      const { blobs, dispose } = await open()
      try {
        await body(blobs)
      } finally {
        await dispose()
      }
    })
  }

  check('a blob reads back as it was put, whole and in parts', async (blobs) => {
    const content = Buffer.from(Array.from({ length: 700_000 }, (_, place) => place % 251))
    assert.equal(await blobs.put('a.data', inChunks(content, 300_001)), content.byteLength)
    assert.equal(await blobs.size('a.data'), content.byteLength)
    assert.ok((await collect(blobs.read('a.data', { start: 0, end: content.byteLength }))).equals(content))
    const part = await collect(blobs.read('a.data', { start: 12_345, end: 600_001 }))
    assert.ok(part.equals(content.subarray(12_345, 600_001)))
    assert.equal((await collect(blobs.read('a.data', { start: 5, end: 5 }))).byteLength, 0)
  })

  check('a blob of an asynchronous source and an empty blob are blobs', async (blobs) => {
    assert.equal(await blobs.put('a', slowly(['one', 'two'])), 6)
    assert.equal((await collect(blobs.read('a', { start: 0, end: 6 }))).toString(), 'onetwo')
    assert.equal(await blobs.put('b', []), 0)
    assert.equal(await blobs.size('b'), 0)
  })

  check('a positioned read fills its target, and less only at the end', async (blobs) => {
    await blobs.put('a', [Buffer.from('0123456789')])
    const target = Buffer.alloc(4)
    assert.equal(await blobs.readInto('a', target, 3), 4)
    assert.equal(target.toString(), '3456')
    assert.equal(await blobs.readInto('a', target, 8), 2)
    assert.equal(target.toString('latin1', 0, 2), '89')
    assert.equal(await blobs.readInto('a', target, 10), 0)
  })

  check('reading what is absent or behind the end is damage', async (blobs) => {
    await blobs.put('a', [Buffer.from('0123')])
    const isDamage = (thrown: unknown): boolean => thrown instanceof TroubleError && thrown.code === 'damaged'
    await assert.rejects(collect(blobs.read('a', { start: 2, end: 5 })), isDamage)
    await assert.rejects(collect(blobs.read('b', { start: 0, end: 1 })), isDamage)
    await assert.rejects(blobs.readInto('b', Buffer.alloc(1), 0), isDamage)
    assert.equal(await blobs.size('b'), null)
  })

  check('a source that fails leaves nothing, and its error comes through', async (blobs) => {
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half')
      throw new Error('cut off')
    }
    await assert.rejects(blobs.put('a', failing()), /cut off/)
    assert.equal(await blobs.size('a'), null)
    assert.deepEqual(await all(blobs.list()), [])
    assert.equal(await blobs.put('a', [Buffer.from('whole')]), 5)
  })

  check('a blob is not there before its put has ended', async (blobs) => {
    let seen: (number | null | string)[] = []
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('half')
      seen = [await blobs.size('a'), ...(await all(blobs.list()))]
      yield Buffer.from('half')
    }
    await blobs.put('a', source())
    assert.deepEqual(seen, [null])
  })

  check(
    'a removed blob is gone, removing it again is fine, and its name can be used again',
    async (blobs) => {
      await blobs.put('a', [Buffer.from('old')])
      const target = Buffer.alloc(3)
      await blobs.readInto('a', target, 0)
      await blobs.remove('a')
      await blobs.remove('a')
      assert.equal(await blobs.size('a'), null)
      await assert.rejects(blobs.readInto('a', target, 0))
      await blobs.put('a', [Buffer.from('new')])
      await blobs.readInto('a', target, 0)
      assert.equal(target.toString(), 'new')
    },
  )

  check('the list names every blob once', async (blobs) => {
    const names = ['file-a.data', 'file-a.index', 'x_y-z.0']
    await Promise.all(names.map((name) => blobs.put(name, [Buffer.from(name)])))
    assert.deepEqual((await all(blobs.list())).sort(), names)
  })

  check('many reads at once of more blobs than stay open give each its own bytes', async (blobs) => {
    const names = Array.from({ length: 200 }, (_, place) => `blob-${place}`)
    for (const name of names) await blobs.put(name, [Buffer.from(name)])
    const read = async (name: string): Promise<void> => {
      const target = Buffer.alloc(name.length)
      await blobs.readInto(name, target, 0)
      assert.equal(target.toString(), name)
    }
    await Promise.all([...names, ...names.toReversed(), ...names].map(read))
  })

  check('names that could lead elsewhere are refused', async (blobs) => {
    for (const name of ['', '.', '..', '../a', 'a/b', '/a', 'A', 'tmp-put-a', 'a\0', `${'a'.repeat(201)}`]) {
      await assert.rejects(blobs.put(name, []), BugError, name)
      await assert.rejects(blobs.size(name), BugError, name)
      await assert.rejects(blobs.remove(name), BugError, name)
      await assert.rejects(collect(blobs.read(name, { start: 0, end: 1 })), BugError, name)
    }
  })
}

function* inChunks(content: Buffer, bytes: number): Generator<Uint8Array> {
  for (let at = 0; at < content.byteLength; at += bytes) yield content.subarray(at, at + bytes)
}

async function* slowly(parts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(await Promise.resolve(part))
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await all(chunks))
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}
