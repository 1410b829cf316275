import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countOutsideMemory } from './outside-memory.ts'

test('many small buffers whose bytes were counted do not stay', () => {
  const before = process.memoryUsage().arrayBuffers
  let largest = 0
  for (let count = 0; count < 4_000; count += 1) {
    const bytes = new Uint8Array(64 * 1024).byteLength
    countOutsideMemory(bytes)
    if (count % 16 === 0) largest = Math.max(largest, process.memoryUsage().arrayBuffers - before)
  }
  assert.ok(largest < 40 * 1024 * 1024, `${largest} bytes`)
})
