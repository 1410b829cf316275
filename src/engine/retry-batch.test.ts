import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { chatLine } from '../../test/kit/requests.ts'
import { openRig, type PlannedAnswer, type Rig, TENANT, withRig } from '../../test/kit/service-rig.ts'
import type { Batch } from '../domain/batch.ts'
import { createSeededRandom } from '../lib/random.ts'
import type { Store } from '../store/store.ts'
import { Janitor } from './janitor.ts'

let free = Number.MAX_SAFE_INTEGER
const rig = await openRig({ freeBytes: () => free })
after(() => rig.close())

const requests = [0, 1, 2, 3].map((number) => JSON.stringify(chatLine(number)))

function retry(
  own: Rig,
  id: string,
  more: { withCancelled?: boolean; key?: string } = {},
): Promise<Batch | null> {
  const options = {
    includeCancelled: more.withCancelled ?? false,
    idempotencyKey: more.key ?? null,
    keyId: null,
  }
  return own.service.retryBatch(TENANT, id, options)
}

/** A batch of four requests: a success, a failure, and two that are as the batch ended. */
async function endedBatch(own: Rig, as: 'expired' | 'cancelled'): Promise<Batch> {
  const input = await own.upload(requests.join('\n'))
  const batch = await own.create(input.id, { metadata: { team: 'a' }, window: '1h' })
  await own.answer(batch.id, [
    { lineIndex: 2, outcome: 'succeeded' },
    { lineIndex: 1, outcome: 'failed' },
    { lineIndex: 0, outcome: as },
    { lineIndex: 3, outcome: as },
  ])
  return own.end(batch.id, as)
}

async function inputOf(own: Rig, batch: Batch | null): Promise<string> {
  assert.ok(batch !== null)
  return own.read(batch.inputFileId)
}

async function fileIds(own: Rig): Promise<string[]> {
  const filter = { purpose: 'batch', order: 'asc', after: null, limit: 100 } as const
  return (await own.service.listFiles(TENANT, filter)).items.map((file) => file.id)
}

test('a retry is a new batch of the failed and expired lines, in their order and byte for byte', async () => {
  const origin = await endedBatch(rig, 'expired')
  rig.clock.advance(1_000)
  const child = await retry(rig, origin.id)
  assert.equal(await inputOf(rig, child), `${requests[0]}\n${requests[1]}\n${requests[3]}\n`)
  assert.equal(child?.status, 'validating')
  assert.equal(child?.retryOf, origin.id)
  assert.deepEqual(child?.metadata, { team: 'a' })
  assert.equal(child?.window, '1h')
  assert.equal(child?.expiresAt, rig.clock.now() + 3_600_000)
  assert.equal(rig.engine.woken.at(-1), child?.id)
  assert.deepEqual(await rig.service.getBatch(TENANT, origin.id), origin)
})

test('cancelled lines run again only when asked for', async () => {
  const origin = await endedBatch(rig, 'cancelled')
  assert.equal(await inputOf(rig, await retry(rig, origin.id)), `${requests[1]}\n`)
  const other = await endedBatch(rig, 'cancelled')
  const all = await retry(rig, other.id, { withCancelled: true })
  assert.equal(await inputOf(rig, all), `${requests[0]}\n${requests[1]}\n${requests[3]}\n`)
})

test('a second retry returns the batch of the first while that runs, and makes a new one afterwards', async () => {
  const origin = await endedBatch(rig, 'expired')
  const first = await retry(rig, origin.id)
  assert.ok(first !== null)
  const filesBefore = await fileIds(rig)
  // There need be no room for a second copy of the lines.
  free = 0
  assert.equal((await retry(rig, origin.id))?.id, first.id)
  free = Number.MAX_SAFE_INTEGER
  assert.deepEqual(await fileIds(rig), filesBefore)
  await rig.end(first.id, 'completed')
  const second = await retry(rig, origin.id)
  assert.ok(second !== null && second.id !== first.id)
})

test('retries at the same moment make one batch, and leave one input file', async () => {
  const origin = await endedBatch(rig, 'expired')
  const before = await fileIds(rig)
  const children = await Promise.all([1, 2, 3, 4].map(() => retry(rig, origin.id)))
  assert.equal(new Set(children.map((child) => child?.id)).size, 1)
  const made = (await fileIds(rig)).filter((id) => !before.includes(id))
  assert.deepEqual(made, [children[0]?.inputFileId])
})

test('a retry that is repeated with its key gives the same batch, also after that has ended', async () => {
  const origin = await endedBatch(rig, 'cancelled')
  const first = await retry(rig, origin.id, { key: 'key-1' })
  assert.ok(first !== null)
  await rig.end(first.id, 'completed')
  const before = await fileIds(rig)
  assert.equal((await retry(rig, origin.id, { key: 'key-1' }))?.id, first.id)
  await assert.rejects(retry(rig, origin.id, { key: 'key-1', withCancelled: true }), {
    code: 'idempotency_mismatch',
  })
  assert.deepEqual(await fileIds(rig), before)
})

test('what cannot be retried is refused with what to do instead', async () => {
  const input = await rig.upload(requests.join('\n'))
  const running = await rig.create(input.id)
  await assert.rejects(retry(rig, running.id), { code: 'batch_running', status: 409 })

  await rig.answer(
    running.id,
    [0, 1, 2, 3].map((lineIndex) => ({ lineIndex, outcome: 'succeeded' as const })),
  )
  await rig.end(running.id, 'completed')
  await assert.rejects(retry(rig, running.id), {
    code: 'nothing_to_retry',
    status: 409,
    message: /new batch of file/,
  })

  const cancelled = await rig.create(input.id)
  await rig.answer(
    cancelled.id,
    [0, 1, 2, 3].map((lineIndex) => ({ lineIndex, outcome: 'cancelled' as const })),
  )
  await rig.end(cancelled.id, 'cancelled')
  await assert.rejects(retry(rig, cancelled.id), { code: 'nothing_to_retry', message: /4 cancelled lines/ })

  const unstarted = await rig.create(input.id)
  const at = rig.clock.now()
  await rig.store.batches.cancel(unstarted.id, at)
  await rig.store.batches.end(unstarted.id, { as: 'cancelled', tally: unstarted.tally, at, files: [] })
  await assert.rejects(retry(rig, unstarted.id, { withCancelled: true }), {
    code: 'nothing_to_retry',
    message: /before it started/,
  })

  const failed = await rig.create(input.id)
  await rig.store.batches.fail(failed.id, { findings: [], findingsTotal: 1, at })
  await assert.rejects(retry(rig, failed.id), { code: 'nothing_to_retry', message: /mend the file/ })
  assert.equal(await retry(rig, 'batch_none'), null)
  assert.equal(
    await rig.service.retryBatch('tenant_other', failed.id, {
      includeCancelled: false,
      keyId: null,
      idempotencyKey: null,
    }),
    null,
  )
})

test('a deleted input is retried while its bytes are there, and refused once they are gone', async () => {
  const origin = await endedBatch(rig, 'expired')
  await rig.service.deleteFile(TENANT, origin.inputFileId)
  const child = await retry(rig, origin.id)
  assert.equal(await inputOf(rig, child), `${requests[0]}\n${requests[1]}\n${requests[3]}\n`)

  const other = await endedBatch(rig, 'expired')
  await rig.service.deleteFile(TENANT, other.inputFileId)
  await new Janitor({ ...rig, onTrouble: assert.fail }).tidy()
  await assert.rejects(retry(rig, other.id), { code: 'input_gone', status: 409 })
})

test('an input whose bytes go while they are copied is told as gone, and nothing of the copy remains', async () => {
  let beforeCopy: () => Promise<unknown> = async () => undefined
  const wrapStore = (store: Store): Store => ({
    ...store,
    files: {
      ...store.files,
      async getEvenDeleted(id) {
        const file = await store.files.getEvenDeleted(id)
        await beforeCopy()
        return file
      },
    },
  })
  await withRig({ wrapStore }, async (own) => {
    const origin = await endedBatch(own, 'expired')
    await own.service.deleteFile(TENANT, origin.inputFileId)
    beforeCopy = () => new Janitor({ ...own, onTrouble: assert.fail }).tidy()
    await assert.rejects(retry(own, origin.id), { code: 'input_gone' })
    assert.deepEqual(readdirSync(join(own.folder, 'blobs')), [])
  })
})

test('chosen lines of any length, line end and place are copied exactly, and no others', async () => {
  const random = createSeededRandom(7)
  const lengths = [0, 3, 900, 5_000, 40_000, 300_000]
  const lines = Array.from({ length: 1_500 }, (_, number) => {
    // Long lines are rare, so that the file stays small.
    const longest = random.float() < 0.02 ? lengths.length : 3
    const content = `${'ä'.repeat(lengths[Math.floor(random.float() * longest)] ?? 0)} ${number}`
    return JSON.stringify(chatLine(number, { content }))
  })
  const text = lines
    .map((line) => line + (['\n', '\r\n', '\n\n', ' \n'][Math.floor(random.float() * 4)] ?? ''))
    .join('')
  const input = await rig.upload(text)
  assert.equal(input.inspection?.findingsTotal, 0)
  const batch = await rig.create(input.id)
  const chosen = lines.map((_, lineIndex) =>
    lineIndex >= 500 && lineIndex < 900 ? false : random.float() < 0.3,
  )
  const answers = chosen.map(
    (isChosen, lineIndex): PlannedAnswer => ({ lineIndex, outcome: isChosen ? 'failed' : 'succeeded' }),
  )
  await rig.answer(batch.id, answers)
  await rig.end(batch.id, 'completed')
  const child = await retry(rig, batch.id)
  const copied = (await inputOf(rig, child)).split('\n')
  assert.equal(copied.pop(), '')
  const wanted = lines.filter((_, lineIndex) => chosen[lineIndex])
  assert.deepEqual(
    copied.map((line) => line.trimEnd()),
    wanted,
  )
})

test('the file of a retry that takes many requests is a plain input: it validates like any other', async () => {
  const origin = await endedBatch(rig, 'expired')
  const child = await retry(rig, origin.id)
  const file = await rig.store.files.get(child?.inputFileId ?? '', TENANT)
  assert.equal(file?.inspection?.lines, 3)
  assert.equal(file?.inspection?.findingsTotal, 0)
  assert.deepEqual(
    file?.inspection?.models.map(({ model }) => model),
    ['sim/echo'],
  )
  assert.equal(file?.filename, `${origin.id}_retry.jsonl`)
})
