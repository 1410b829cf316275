/** The life of a batch in the store: every legal move, every illegal one, and what each writes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type BatchStatus, batchMoves, emptyTally, isEnded } from '../domain/batch.ts'
import type { Batch, BatchStore, Store } from './store.ts'
import type { Check } from './store-conformance.ts'
import { createdBatch, sampleBatch, sampleFile, sampleTally } from './store-samples.ts'

type Act = {
  name: string
  to: BatchStatus
  endsAs: Batch['endsAs']
  run(batches: BatchStore, id: string, at: number): Promise<boolean>
}

const end = (as: 'completed' | 'expired' | 'cancelled'): Act => ({
  name: `end as ${as}`,
  to: as,
  endsAs: as,
  run: (batches, id, at) => batches.end(id, { as, tally: emptyTally, at, files: [] }),
})
const finalize = (endsAs: 'completed' | 'expired'): Act => ({
  name: `finalize as ${endsAs}`,
  to: 'finalizing',
  endsAs,
  run: (batches, id, at) => batches.finalize(id, { endsAs, at }),
})
const acts: readonly Act[] = [
  {
    name: 'start',
    to: 'in_progress',
    endsAs: null,
    run: (batches, id, at) => batches.start(id, { linesTotal: 3, model: 'm', at }),
  },
  {
    name: 'fail',
    to: 'failed',
    endsAs: null,
    run: (batches, id, at) => batches.fail(id, { findings: [], findingsTotal: 0, at }),
  },
  { name: 'cancel', to: 'cancelling', endsAs: 'cancelled', run: (batches, id, at) => batches.cancel(id, at) },
  finalize('completed'),
  finalize('expired'),
  end('completed'),
  end('expired'),
  end('cancelled'),
]

/** The rule that the store has to keep, said once more from the table of moves. */
function isLegal(act: Act, batch: Pick<Batch, 'status' | 'endsAs'>): boolean {
  const isMove = (batchMoves[batch.status] as readonly BatchStatus[]).includes(act.to)
  if (act.to === 'completed' && batch.status === 'in_progress') return true
  return isMove && (!isEnded(act.to) || batch.endsAs === null || batch.endsAs === act.endsAs)
}

const pathTo: Record<string, readonly string[]> = {
  validating: [],
  failed: ['fail'],
  in_progress: ['start'],
  'finalizing as completed': ['start', 'finalize as completed'],
  'finalizing as expired': ['start', 'finalize as expired'],
  completed: ['start', 'end as completed'],
  expired: ['start', 'finalize as expired', 'end as expired'],
  cancelling: ['start', 'cancel'],
  'cancelled before the start': ['cancel', 'end as cancelled'],
  cancelled: ['start', 'cancel', 'end as cancelled'],
}

export function testBatchMoves(check: Check): void {
  check('from every state the legal moves happen and the illegal ones change nothing', async (store) => {
    let number = 0
    for (const [state, path] of Object.entries(pathTo)) {
      for (const act of acts) {
        number += 1
        const { id } = await createdBatch(store, number)
        for (const [step, name] of path.entries()) {
          const moved = await actNamed(name).run(store.batches, id, 5_000 + step)
          assert.equal(moved, true, `${name} on the way to ${state}`)
        }
        const before = await existing(store, id)
        const isExpected = isLegal(act, before)
        assert.equal(await act.run(store.batches, id, 6_000), isExpected, `${act.name} from ${state}`)
        const after = await existing(store, id)
        if (isExpected) assert.equal(after.status, act.to)
        else assert.deepEqual(after, before)
        assert.equal(await act.run(store.batches, 'batch_unknown', 6_000), false)
      }
    }
  })

  check('each move writes its instant and its facts', async (store) => {
    const { id } = await createdBatch(store, 1)
    await store.batches.start(id, { linesTotal: 7, model: 'm', at: 2_000 })
    await store.batches.cancel(id, 3_000)
    await store.batches.end(id, {
      as: 'cancelled',
      tally: sampleTally(0, { cancelled: 7, errorLines: 7 }),
      at: 4_000,
      files: [],
    })
    const batch = await existing(store, id)
    const { inProgressAt, cancellingAt, cancelledAt, linesTotal, model, endsAs } = batch
    assert.deepEqual([inProgressAt, cancellingAt, cancelledAt], [2_000, 3_000, 4_000])
    assert.deepEqual([linesTotal, model, endsAs], [7, 'm', 'cancelled'])
    assert.deepEqual([batch.outputFileId, batch.errorFileId], [null, 'file-err-1'])
    assert.deepEqual(
      [batch.completedAt, batch.failedAt, batch.expiredAt, batch.finalizingAt],
      [null, null, null, null],
    )
    const findings = [{ code: 'x', message: 'y', param: null, lineNumber: 3 }]
    await createdBatch(store, 2)
    await store.batches.fail('batch_2', { findings, findingsTotal: 9, at: 5_000 })
    const failed = await existing(store, 'batch_2')
    assert.deepEqual([failed.findings, failed.findingsTotal, failed.failedAt], [findings, 9, 5_000])
  })

  check(
    'an end stores the final tally and the result files in one step, passing finalizing',
    async (store) => {
      const { id } = await createdBatch(store, 1)
      await store.batches.start(id, { linesTotal: 3, model: null, at: 2_000 })
      const output = sampleFile(0, {
        id: 'file-out-1',
        kind: 'output',
        batchId: id,
        bytes: 10,
        createdAt: 2_500,
        expiresAt: 3_000,
      })
      await store.batches.revealOutput(id, output)
      assert.equal((await existing(store, id)).outputFileId, 'file-out-1')
      await store.batches.revealOutput(id, { ...output, bytes: 99 })
      assert.deepEqual(await store.files.get('file-out-1', null), output)
      const tally = sampleTally(2, { failed: 1, errorLines: 1, errorBytes: 5 })
      const files = [
        { ...output, bytes: 20, createdAt: 4_000, expiresAt: 9_000 },
        sampleFile(0, { id: 'file-err-1', kind: 'error', batchId: id, createdAt: 4_000 }),
      ]
      assert.equal(await store.batches.end(id, { as: 'completed', tally, at: 4_000, files }), true)
      const batch = await existing(store, id)
      assert.deepEqual([batch.finalizingAt, batch.completedAt, batch.endsAs], [4_000, 4_000, 'completed'])
      assert.deepEqual([batch.outputFileId, batch.errorFileId], ['file-out-1', 'file-err-1'])
      assert.deepEqual(batch.tally, tally)
      // The row keeps the instant at which the file came to be; size and deadline are the final ones.
      assert.deepEqual(await store.files.get('file-out-1', null), { ...output, bytes: 20, expiresAt: 9_000 })
      assert.notEqual(await store.files.get('file-err-1', null), null)
    },
  )

  check('an end that comes too late stores no file either', async (store) => {
    const { id } = await createdBatch(store, 1)
    await store.batches.fail(id, { findings: [], findingsTotal: 0, at: 2_000 })
    const files = [sampleFile(0, { id: 'file-out-1', kind: 'output', batchId: id })]
    assert.equal(
      await store.batches.end(id, { as: 'completed', tally: sampleTally(1), at: 3_000, files }),
      false,
    )
    assert.equal(await store.files.getEvenDeleted('file-out-1'), null)
  })

  check('a revealed output belongs to its batch alone and is not made again after the end', async (store) => {
    const { id } = await createdBatch(store, 1)
    await store.batches.start(id, { linesTotal: 1, model: null, at: 2_000 })
    const foreign = sampleFile(0, { id: 'file-out-2', kind: 'output', batchId: id })
    await store.batches.revealOutput(id, foreign)
    assert.equal((await existing(store, id)).outputFileId, null)
    assert.equal(await store.files.getEvenDeleted('file-out-2'), null)
    const output = { ...foreign, id: 'file-out-1' }
    await store.batches.end(id, { as: 'completed', tally: sampleTally(1), at: 3_000, files: [output] })
    await store.files.hide('file-out-1', 4_000)
    await store.files.forget('file-out-1')
    await store.batches.revealOutput(id, output)
    assert.equal(await store.files.getEvenDeleted('file-out-1'), null)
  })

  check('stored tallies only grow, and never touch a batch that has ended', async (store) => {
    for (const number of [1, 2, 3]) {
      await createdBatch(store, number)
      await store.batches.start(`batch_${number}`, { linesTotal: 9, model: null, at: 2_000 })
    }
    await store.batches.end('batch_3', { as: 'completed', tally: sampleTally(9), at: 3_000, files: [] })
    const stale = sampleTally(3, { promptTokens: 1 })
    const tally = sampleTally(4, { promptTokens: 50 })
    const all = (value: typeof tally) =>
      ['batch_1', 'batch_2', 'batch_3', 'batch_unknown'].map((id) => ({ id, tally: value }))
    await store.batches.storeTally(all(tally))
    await store.batches.storeTally(all(stale))
    await store.batches.storeTally([{ id: 'batch_1', tally: sampleTally(5, { promptTokens: 49 }) }])
    await store.batches.storeTally([])
    assert.deepEqual((await existing(store, 'batch_1')).tally, tally)
    assert.deepEqual((await existing(store, 'batch_2')).tally, tally)
    assert.deepEqual((await existing(store, 'batch_3')).tally, sampleTally(9))
  })

  check('a halted batch says why, and an ended one is not halted', async (store) => {
    await createdBatch(store, 1)
    await store.batches.halt('batch_1', 'results are damaged')
    assert.equal((await existing(store, 'batch_1')).haltReason, 'results are damaged')
    await createdBatch(store, 2)
    await store.batches.fail('batch_2', { findings: [], findingsTotal: 0, at: 2_000 })
    await store.batches.halt('batch_2', 'too late')
    assert.equal((await existing(store, 'batch_2')).haltReason, null)
  })

  check('whatever is tried in whatever order, a terminal state never changes', async (store) => {
    let number = 0
    const sequences = fc.array(fc.constantFrom(...acts), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(sequences, async (sequence) => {
        number += 1
        const { id } = (await store.batches.create(sampleBatch(number), null)).batch
        let at = 5_000
        for (const act of sequence) {
          at += 1
          const before = await existing(store, id)
          const moved = await act.run(store.batches, id, at)
          await store.batches.storeTally([{ id, tally: sampleTally(at) }])
          await store.batches.halt(id, `halted at ${at}`)
          const after = await existing(store, id)
          assert.equal(moved, isLegal(act, before), `${act.name} from ${before.status}`)
          assert.equal(after.status, moved ? act.to : before.status)
          if (isEnded(before.status)) assert.deepEqual(after, before)
        }
      }),
      { numRuns: 40 },
    )
  })
}

function actNamed(name: string): Act {
  const act = acts.find((candidate) => candidate.name === name)
  assert.ok(act !== undefined, name)
  return act
}

async function existing(store: Store, id: string): Promise<Batch> {
  const batch = await store.batches.get(id, null)
  assert.ok(batch !== null, id)
  return batch
}
