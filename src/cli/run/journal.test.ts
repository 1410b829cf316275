import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { newRecord, openJournal, type RunIdentity, runKeyOf } from './journal.ts'
import { resumeState, startState } from './run-state.ts'

const identity: RunIdentity = {
  server: 'http://host/v1',
  apiKey: 'sk-1',
  contentHash: 'aa',
  endpoint: '/v1/chat/completions',
  model: null,
  window: '24h',
  metadata: { a: '1', b: '2' },
  sample: null,
}
const part = { start: 0, end: 100, model: null, lines: 10 }

function withFolder(body: (env: NodeJS.ProcessEnv, folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  try {
    body({ DW_STATE_DIR: folder }, join(folder, 'runs'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function keys(): () => string {
  let made = 0
  return () => {
    made += 1
    return `key-${made}`
  }
}

test('a run is the same one only when all that it costs and gives is the same', () => {
  const key = runKeyOf(identity)
  assert.equal(runKeyOf({ ...identity, metadata: { b: '2', a: '1' } }), key)
  const others: Partial<RunIdentity>[] = [
    { server: 'http://other/v1' },
    { apiKey: 'sk-2' },
    { apiKey: null },
    { contentHash: 'ab' },
    { endpoint: '/v1/embeddings' },
    { model: 'm' },
    { window: '1h' },
    { metadata: null },
    { sample: { count: 5, seed: 1 } },
  ]
  assert.equal(new Set(others.map((other) => runKeyOf({ ...identity, ...other }))).size, others.length)
  assert.ok(others.every((other) => runKeyOf({ ...identity, ...other }) !== key))
})

test('every step is read back by the next process, under the key that the first one chose', () => {
  withFolder((env, folder) => {
    const journal = openJournal(env)
    const options = { key: 'run', journal, now: () => 5, newKey: keys() }
    const state = startState([part, part], options)
    state.change(0, { fileId: 'file-1' })
    state.change(0, { isAsked: true })
    const record = openJournal(env).read('run')
    assert.ok(record !== null)
    assert.deepEqual(record.parts[0], {
      ...part,
      idempotencyKey: 'key-1',
      fileId: 'file-1',
      isAsked: true,
      batchId: null,
    })
    assert.equal(statSync(join(folder, 'run.json')).mode & 0o777, 0o600)
    const next = resumeState(record, { ...options, journal })
    next.change(0, { batchId: 'batch_1' })
    next.restart(0, { keepsFile: true })
    assert.deepEqual(next.parts()[0], {
      ...part,
      idempotencyKey: 'key-3',
      fileId: 'file-1',
      isAsked: false,
      batchId: null,
    })
    next.replace(1, [part, part])
    assert.deepEqual(
      next.parts().map(({ idempotencyKey }) => idempotencyKey),
      ['key-3', 'key-4', 'key-5'],
    )
  })
})

test('a journal that cannot be read, or is of a later version, counts as none', () => {
  withFolder((env, folder) => {
    const journal = openJournal(env)
    assert.equal(journal.read('none'), null)
    journal.write('run', newRecord([part], { now: 1, newKey: keys() }))
    writeFileSync(join(folder, 'run.json'), '{"version":1')
    assert.equal(journal.read('run'), null)
    writeFileSync(join(folder, 'run.json'), '{"version":99,"parts":[]}')
    assert.equal(journal.read('run'), null)
  })
})

test('of very many runs the oldest that have ended are forgotten first', () => {
  withFolder((env, folder) => {
    const journal = openJournal(env)
    const record = newRecord([part], { now: 1, newKey: keys() })
    journal.write('open', record)
    const text = JSON.stringify({ ...record, endedAt: 2 })
    for (let number = 0; number < 500; number += 1) {
      const path = join(folder, `ended-${number}.json`)
      writeFileSync(path, text)
      utimesSync(path, number, number)
    }
    utimesSync(join(folder, 'open.json'), 0, 0)
    journal.write('new', record)
    assert.equal(readdirSync(folder).length, 500)
    assert.ok(journal.read('open') !== null && journal.read('new') !== null)
    assert.equal(journal.read('ended-0'), null)
    assert.equal(journal.read('ended-1'), null)
  })
})
