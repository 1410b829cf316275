/** What a server does with a data folder that is not its own to use: in use, of another version, damaged, strange, out of reach. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { RefusedError, TroubleError } from '../src/lib/errors.ts'
import { checkFormatHeader, encodeFormatHeader, type Format } from '../src/lib/format-header.ts'
import { type RunningServer, startServer } from '../src/server.ts'
import { ask, batchWhen, createBatch, readContent, uploadFile } from './kit/batch-api.ts'
import { chatLine, jsonl } from './kit/requests.ts'
import { testConfig } from './kit/running-server.ts'
import { startScriptedUpstream } from './kit/scripted-upstream.ts'
import { configFlags, createSandbox, run, runDw, startServerProcess } from './kit/server-process.ts'

const root = mkdtempSync(join(tmpdir(), 'dw-'))
// Another user must be able to come as far as the folder that it may not enter.
chmodSync(root, 0o711)
const sandbox = createSandbox()
const held = Promise.withResolvers<void>()
let isHolding = true
const upstream = await startScriptedUpstream({
  models: ['plain', 'held'],
  script: ({ body }) => (isHolding && body.includes('"held"') ? { gate: held.promise } : null),
})
after(async () => {
  held.resolve()
  await upstream.stop()
  sandbox.remove()
  rmSync(root, { recursive: true, force: true })
})

/** A folder with an ended batch, a live one with answers and a plan, and everything that a kill leaves unsettled. */
async function makeCrashed(): Promise<{ folder: string; endedOutputId: string; liveId: string }> {
  const server = await startServerProcess(
    sandbox,
    configFlags(sandbox, { url: upstream.url, concurrency: 2 }),
  )
  const path = sandbox.path('requests.jsonl')
  writeFileSync(path, jsonl([chatLine(1, { model: 'plain' }), chatLine(2, { model: 'plain' })]))
  const { id } = await createBatch(server.url, await uploadFile(server.url, path))
  const ended = await batchWhen(server.url, id, ({ status }) => status === 'completed')
  const models = ['plain', 'held', 'plain', 'held']
  writeFileSync(path, jsonl(models.map((model, number) => chatLine(number, { model }))))
  const live = await createBatch(server.url, await uploadFile(server.url, path))
  await batchWhen(server.url, live.id, ({ request_counts }) => request_counts.completed === 2)
  await server.kill('SIGKILL')
  return {
    folder: sandbox.dataDir,
    endedOutputId: ended.output_file_id ?? assert.fail('the batch has output'),
    liveId: live.id,
  }
}

const start = (folder: string): Promise<RunningServer> =>
  startServer(testConfig(folder, { dataDir: folder, upstreamUrl: upstream.url, timing: { drainMs: 0 } }), {
    mayMovePort: false,
    env: { DW_STATE_DIR: join(root, 'state') },
  })

const crashed = await makeCrashed()
let copies = 0
function copyOf(folder: string): string {
  copies += 1
  const copy = join(root, `copy-${copies}`)
  cpSync(folder, copy, { recursive: true, preserveTimestamps: true })
  return copy
}
const clean = copyOf(crashed.folder)
await (await start(clean)).stop()

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted()

/** What exists while a process runs, and holds nothing that is kept: the lock, and the memory that SQLite's processes share. */
const PASSING = /^(lock\.sqlite.*|dw\.sqlite-shm)$/

/** Every name and its bytes. */
function treeOf(folder: string): Record<string, string> {
  const kept = filesOf(folder).filter((path) => !PASSING.test(relative(folder, path)))
  const digestOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')
  return Object.fromEntries(kept.map((path) => [relative(folder, path), digestOf(path)]))
}

function patch(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path)
  change(bytes)
  writeFileSync(path, bytes)
}

const VERSION_AT = 4
const OLDEST_READER_AT = 6
type Change = (bytes: Buffer) => void
const newer: Change = (bytes) => {
  bytes.writeUInt16LE(9, VERSION_AT)
  bytes.writeUInt16LE(9, OLDEST_READER_AT)
}
const newerButReadable: Change = (bytes) => void bytes.writeUInt16LE(9, VERSION_AT)
const older: Change = (bytes) => void bytes.writeUInt16LE(0, VERSION_AT)

const named = (folder: string, pattern: RegExp): string[] => {
  const found = filesOf(folder).filter((path) => pattern.test(relative(folder, path)))
  assert.ok(found.length > 0, `the folder has files like ${pattern}`)
  return found
}
const changing =
  (pattern: RegExp, change: Change) =>
  (folder: string): void => {
    for (const path of named(folder, pattern)) patch(path, change)
  }
const SEGMENTS = /^results\/log\/\d+\.log$/
/** Of the live batch: the second that was made. */
const LIVE_RECORDS = /^results\/batches\/0*2\/records$/
const ENDED_RECORDS = /^results\/batches\/0*1\/records$/

function changeCheckpoint(change: (body: Record<string, unknown>) => void): (folder: string) => void {
  return (folder) => {
    const path = join(folder, 'results/log/checkpoint')
    const body = JSON.parse(readFileSync(path, 'utf8').split('\n')[0] ?? '')
    change(body)
    const text = JSON.stringify(body)
    writeFileSync(path, `${text}\n${crc32(text).toString(16)}\n`)
  }
}

function changeDatabase(sql: string): (folder: string) => void {
  return (folder) => {
    const database = new DatabaseSync(join(folder, 'dw.sqlite'))
    database.exec(sql)
    database.close()
  }
}

/** The change is committed, and still in the write-ahead log: as if the newer program had been killed. */
function changeDatabaseAndDie(sql: string): (folder: string) => void {
  return (folder) => {
    const database = new DatabaseSync(join(folder, 'dw.sqlite'))
    database.exec('pragma wal_autocheckpoint = 0')
    database.exec(sql)
    const left = copyOf(folder)
    database.close()
    rmSync(folder, { recursive: true })
    cpSync(left, folder, { recursive: true })
    assert.ok(statSync(join(folder, 'dw.sqlite-wal')).size > 0)
  }
}

const NEWER_SCHEMA = 'insert into schema_versions values (99, 99)'
const refused: Record<string, { folder: string; change: (folder: string) => void; says: RegExp }> = {
  'a newer schema': {
    folder: clean,
    change: changeDatabase(NEWER_SCHEMA),
    says: /schema version 99 .* knows versions up to \d+: start the newer program/,
  },
  'a newer schema, not closed': {
    folder: crashed.folder,
    change: changeDatabaseAndDie(NEWER_SCHEMA),
    says: /schema version 99/,
  },
  'a database of another program': {
    folder: clean,
    change: (folder) => {
      rmSync(join(folder, 'dw.sqlite'))
      changeDatabase('create table recipes (name text)')(folder)
    },
    says: /is a database of another program: name another folder/,
  },
  'a database that is none': {
    folder: clean,
    change: (folder) => writeFileSync(join(folder, 'dw.sqlite'), 'x'.repeat(8_192)),
    says: /dw\.sqlite is damaged .* restore it from a backup/,
  },
  'a newer checkpoint': {
    folder: crashed.folder,
    change: changeCheckpoint((body) => Object.assign(body, { version: 9, readerVersionMin: 9 })),
    says: /the checkpoint needs a program that reads version 9; this one reads 1/,
  },
  'a checkpoint that is damaged': {
    folder: clean,
    change: (folder) => patch(join(folder, 'results/log/checkpoint'), (bytes) => void bytes.fill(0x30, 5, 9)),
    says: /checkpoint .* is damaged; restore it from a backup/,
  },
  'a newer log': {
    folder: crashed.folder,
    change: changing(SEGMENTS, newer),
    says: /segment of the result log .* needs a program that reads version 9; this one reads 1: use the newer dw/,
  },
  'an older log': {
    folder: crashed.folder,
    change: changing(SEGMENTS, older),
    says: /segment of the result log .* has version 0; this program reads versions from 1/,
  },
  'newer records of a live batch': {
    folder: clean,
    change: changing(LIVE_RECORDS, newer),
    says: /file of records .* needs a program that reads version 9/,
  },
  'older records of a live batch': {
    folder: clean,
    change: changing(LIVE_RECORDS, older),
    says: /file of records .* has version 0/,
  },
}

for (const [name, { folder: origin, change, says }] of Object.entries(refused)) {
  test(`${name}: the server does not start, and not a byte of the folder is changed`, async () => {
    const folder = copyOf(origin)
    change(folder)
    const before = treeOf(folder)
    await assert.rejects(start(folder), (thrown: unknown) => {
      assert.ok(thrown instanceof TroubleError, String(thrown))
      assert.match(thrown.message, says)
      return true
    })
    assert.deepEqual(treeOf(folder), before)
  })
}

/** Files that are only read: what rests on them waits, the rest of the server works. */
async function untilLiveEnds(folder: string): Promise<void> {
  isHolding = false
  const server = await start(folder)
  try {
    const ended = await batchWhen(server.url, crashed.liveId, ({ status }) => status === 'completed')
    assert.deepEqual(ended.request_counts, { total: 4, completed: 4, failed: 0 })
    const lines = (await readContent(server.url, ended.output_file_id)).trim().split('\n')
    assert.equal(new Set(lines.map((line) => JSON.parse(line).custom_id)).size, 4)
  } finally {
    isHolding = true
    await server.stop()
  }
}

for (const [name, pattern] of Object.entries({ 'line index': /\.index$/, 'line plan': /\.plan$/ })) {
  for (const [age, change, says] of [
    ['newer', newer, /needs a program that reads version 9.* use the newer dw/],
    ['older', older, /has version 0; this program reads versions from 1/],
  ] as const) {
    test(`a live batch with a ${age} ${name} waits and says why; the right program goes on with it`, async () => {
      const folder = copyOf(clean)
      const original = named(folder, pattern).map((path) => ({ path, bytes: readFileSync(path) }))
      changing(pattern, change)(folder)
      const kept = /^(blobs\/|results\/batches\/)/
      const keptOf = (): unknown => Object.entries(treeOf(folder)).filter(([path]) => kept.test(path))
      const before = keptOf()
      const server = await start(folder)
      try {
        type Shown = { status: string; dw: { state_reason: string | null; halt_reason: string | null } }
        const url = `${server.url}/v1/batches/${crashed.liveId}`
        const reasonOf = async (): Promise<Shown> => {
          const shown = await ask<Shown>(url)
          return shown.dw.state_reason?.includes('version') === true ? shown : reasonOf()
        }
        const shown = await reasonOf()
        assert.equal(shown.status, 'in_progress')
        // What is stored would hold it up for good.
        assert.equal(shown.dw.halt_reason, null)
        assert.match(shown.dw.state_reason ?? '', says)
        assert.equal((await readContent(server.url, crashed.endedOutputId)).trim().split('\n').length, 2)
      } finally {
        await server.stop()
      }
      assert.deepEqual(keptOf(), before)
      for (const { path, bytes } of original) writeFileSync(path, bytes)
      await untilLiveEnds(folder)
    })
  }
}

test('records of an ended batch that need a newer program are not read as if they were ours', async () => {
  const folder = copyOf(clean)
  // Let go of by the log, as after the next checkpoint.
  changeCheckpoint((body) => Object.assign(body, { batches: [] }))(folder)
  changing(ENDED_RECORDS, newer)(folder)
  const server = await start(folder)
  try {
    const reply = await fetch(`${server.url}/v1/files/${crashed.endedOutputId}/content?skip=1`)
    assert.equal(reply.status, 503, await reply.text())
  } finally {
    await server.stop()
  }
})

test('a newer file that says that we may read it is used', async () => {
  const [left, closed] = [copyOf(crashed.folder), copyOf(clean)]
  changing(SEGMENTS, newerButReadable)(left)
  for (const pattern of [LIVE_RECORDS, /\.index$/, /\.plan$/]) changing(pattern, newerButReadable)(closed)
  for (const folder of [left, closed]) await untilLiveEnds(folder)
})

test('what a kill left behind is taken up, and ends with every line once', () =>
  untilLiveEnds(copyOf(crashed.folder)))

test('an older file is read only by a program that says that it can', () => {
  const format: Format = { name: 'f', magic: 1, version: 3, readerVersionMin: 3, recordBytes: 8 }
  const second = encodeFormatHeader({ ...format, version: 2, readerVersionMin: 2 })
  assert.throws(() => checkFormatHeader(second, format), /has version 2; this program reads versions from 3/)
  assert.doesNotThrow(() => checkFormatHeader(second, { ...format, readsFromVersion: 2 }))
})

test('files that are not ours are left alone', async () => {
  const folder = copyOf(clean)
  const strange = [
    ...['notes.txt', 'upstream-keys/old.key', 'blobs/readme', 'blobs/file-none.data.bak'],
    ...['results/notes', 'results/log/notes.log', 'results/batches/notes', 'results/batches/old/records'],
  ]
  for (const path of strange) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), `kept: ${path}`)
  }
  await untilLiveEnds(folder)
  for (const path of strange) assert.equal(readFileSync(join(folder, path), 'utf8'), `kept: ${path}`)
})

test('a folder that another process has is refused with its name and the next step, and is not disturbed', async () => {
  const folder = copyOf(clean)
  const flags = ['--data-dir', folder, '--port', '0']
  const first = await startServerProcess(sandbox, flags)
  try {
    const second = await runDw(['serve', ...flags], { env: sandbox.env })
    assert.notEqual(second.exitCode, 0)
    assert.ok(second.stderr.includes(folder), second.stderr)
    assert.match(
      second.stderr,
      /in use by another dw server: stop that one, or start this one with another --data-dir/,
    )
    assert.equal((await fetch(`${first.url}/ready`)).status, 200)
  } finally {
    await first.stop()
  }
})

test('a folder with the files of somebody else is refused, and keeps its rights', async () => {
  const folder = join(root, 'somebody-else')
  mkdirSync(folder)
  writeFileSync(join(folder, 'thesis.txt'), 'mine')
  chmodSync(folder, 0o755)
  const before = treeOf(folder)
  await assert.rejects(start(folder), (thrown: unknown) => {
    assert.ok(thrown instanceof RefusedError)
    assert.match(
      thrown.message,
      /somebody-else as the data folder: it holds 'thesis\.txt' .* not made by dw\. Name/,
    )
    return true
  })
  assert.equal(statSync(folder).mode & 0o777, 0o755)
  assert.deepEqual(treeOf(folder), before)
})

test('a folder that is empty but for what a file system puts there is taken', async () => {
  const folder = join(root, 'mount-point')
  mkdirSync(join(folder, 'lost+found'), { recursive: true })
  await (await start(folder)).stop()
  assert.equal(statSync(folder).mode & 0o777, 0o700)
})

test('a folder that is a file, or lies below one, is refused in one sentence', async () => {
  const path = join(root, 'a-file')
  writeFileSync(path, 'mine')
  for (const [folder, says] of [
    [path, /Cannot use .*a-file as the data folder: it is a file\. Name another with --data-dir\./],
    [join(path, 'below'), /: a part of its path is a file\. Name another/],
  ] as const) {
    await assert.rejects(start(folder), (thrown: unknown) => {
      assert.ok(thrown instanceof RefusedError)
      assert.match(thrown.message, says)
      return true
    })
  }
  assert.equal(readFileSync(path, 'utf8'), 'mine')
})

const isRoot = process.getuid?.() === 0
const NOBODY = 65_534

test('a folder that this user may not write to, or not even read, is refused in one sentence', async () => {
  for (const mode of [0o500, 0o000]) {
    const parent = mkdtempSync(join(root, 'closed-'))
    const folder = join(parent, 'data')
    chmodSync(parent, mode)
    // The rights of files mean nothing to root, which therefore asks as another user.
    const words = isRoot ? ['-e', AS_NOBODY] : [sandbox.path('unused')]
    const end = isRoot
      ? await run(process.execPath, words, { env: { ...sandbox.env, ENTRY: ENTRY, FOLDER: folder } })
      : await runDw(['serve', '--port', '0', '--data-dir', folder], { env: sandbox.env })
    chmodSync(parent, 0o700)
    assert.notEqual(end.exitCode, 0)
    assert.match(
      end.stderr,
      /Cannot use \S+ as the data folder: this user may not write there\. Name another/,
    )
    assert.deepEqual(readdirSync(parent), [])
  }
})

const ENTRY = new URL('../bin/dw.js', import.meta.url).pathname
const AS_NOBODY = `
  process.setgid(${NOBODY})
  process.setuid(${NOBODY})
  process.argv.splice(1, 0, process.env.ENTRY, 'serve', '--port', '0', '--data-dir', process.env.FOLDER)
  import(process.env.ENTRY)
`

test('a folder on a read-only file system is refused in one sentence', async (context) => {
  const place = join(root, 'mounted')
  mkdirSync(place)
  const mount = `mount -t tmpfs -o ro none "$0" && exec "$@"`
  for (const folder of [place, join(place, 'data')]) {
    const words = [process.execPath, ENTRY, 'serve', '--port', '0', '--data-dir', folder]
    const own = ['--mount', ...(isRoot ? [] : ['--map-root-user'])]
    const end = await run('unshare', [...own, 'sh', '-c', mount, place, ...words], {
      env: sandbox.env,
    }).catch(() => null)
    if (end === null || /unshare:|mount:/.test(end.stderr))
      return context.skip('this system lets nobody mount')
    assert.notEqual(end.exitCode, 0)
    assert.match(end.stderr, /as the data folder: .*read-only.*\. Name another with --data-dir\./)
  }
})
