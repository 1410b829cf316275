/**
 * Batches. Every move names the states it may leave, taken from `batchMoves`, so a late writer changes nothing. A batch is live
 * while `ended_number` is null; that number is given in the same commit as its terminal state.
 */
import type { UpdateObject } from 'kysely'
import { type BatchStatus, batchMoves, isEnded } from '../domain/batch.ts'
import { BATCH_LIST_MAX } from '../domain/limits.ts'
import { assert } from '../lib/errors.ts'
import { byId, createBatch, liveChild, oneBatch } from './batch-creation.ts'
import { createBatchPages } from './batch-pages.ts'
import { batchOfRow, rowOfTally, tallyColumns, tallyFields } from './batch-row.ts'
import { type Database, hole, type Step, step, template } from './database.ts'
import { rowOfFile } from './file-row.ts'
import type { Tables } from './schema.ts'
import type { Batch, BatchStore, StoredFile, Tally } from './store.ts'
import { usageSteps } from './usage.ts'
import type { Watermarks } from './watermarks.ts'
import { announcement } from './webhooks.ts'

type Update = UpdateObject<Tables, 'batches'>
type EndFacts = Parameters<BatchStore['end']>[1]
type Parts = { database: Database; watermarks: Watermarks }

export function createBatchStore(database: Database, watermarks: Watermarks): BatchStore {
  const parts: Parts = { database, watermarks }
  const pages = createBatchPages(database)
  const tallyStep = createTallyStep(database)
  const move = async (id: string, to: BatchStatus, set: Update, at: number): Promise<boolean> =>
    (await database.write(moveSteps({ id, to, from: statesBefore(to), set }, at, parts))).isDone
  return {
    create: (batch, idempotency) => createBatch(batch, idempotency, parts),
    async get(id, tenantId) {
      const batch = await oneBatch(database, byId(database, id))
      return batch !== null && (tenantId === null || batch.tenantId === tenantId) ? batch : null
    },
    list: (tenantId, filter) => pages.list(tenantId, filter),
    live: (page) => live(database, page),
    start: (id, { at, linesTotal, model }) =>
      move(id, 'in_progress', { in_progress_at: at, lines_total: linesTotal, model }, at),
    fail: (id, { at, findings, findingsTotal }) =>
      move(
        id,
        'failed',
        { failed_at: at, findings: JSON.stringify(findings), findings_total: findingsTotal },
        at,
      ),
    cancel: (id, at) => move(id, 'cancelling', { cancelling_at: at, ends_as: 'cancelled' }, at),
    finalize: (id, { at, endsAs }) => move(id, 'finalizing', { finalizing_at: at, ends_as: endsAs }, at),
    end: (id, facts) => end(id, facts, parts),
    revealOutput: (id, file) => revealOutput(id, file, parts),
    async storeTally(tallies) {
      if (tallies.length > 0) await database.write([tallyStep(tallies)])
    },
    async halt(id, reason) {
      const update = database.build
        .updateTable('batches')
        .set({ halt_reason: reason })
        .where('id', '=', id)
        .where('ended_number', 'is', null)
      await database.write([step(update.compile())])
    },
    children: (id) => children(database, id),
  }
}

/** States that have a move to `to`. */
function statesBefore(to: BatchStatus): BatchStatus[] {
  // `Object.keys` forgets the type of the keys it returns.
  const all = Object.keys(batchMoves) as BatchStatus[]
  return all.filter((from) => batchMoves[from].some((next) => next === to))
}

type Move = { id: string; to: BatchStatus; from: readonly BatchStatus[]; set: Update }

function moveSteps({ id, to, from, set }: Move, at: number, { database, watermarks }: Parts): Step[] {
  const hasEnded = isEnded(to)
  const update = database.build
    .updateTable('batches')
    .set({ ...set, status: to })
    .$if(hasEnded, (query) =>
      query.set(({ selectFrom }) => ({ ended_number: selectFrom('watermarks').select('ended_count') })),
    )
    .where('id', '=', id)
    .where('status', 'in', from)
  return [
    ...(hasEnded ? [watermarks.ended()] : []),
    step(update.compile(), 1),
    ...(hasEnded ? [announcement(database, { batchId: id, event: `batch.${to}`, at })] : []),
    watermarks.seen(at),
  ]
}

async function live(database: Database, page: { after: number; limit: number }): Promise<Batch[]> {
  const query = database.build
    .selectFrom('batches')
    .selectAll()
    .where('ended_number', 'is', null)
    .where('seq', '>', page.after)
    .orderBy('seq')
    .limit(Math.min(page.limit, BATCH_LIST_MAX))
  const [{ rows, isCut }] = await database.read(query.compile())
  // A caller takes a short page for the last one. Live batches carry no findings, so a full page is far below the bound.
  assert(!isCut, 'a page of live batches fits into one reply')
  return rows.map(batchOfRow)
}

async function end(id: string, facts: EndFacts, parts: Parts): Promise<boolean> {
  const { as, tally, at, files, usage = [] } = facts
  const { database } = parts
  const isPassing = as === 'completed'
  const from = [...statesBefore(as), ...(isPassing ? statesBefore('finalizing') : [])]
  const update = database.build
    .updateTable('batches')
    .set(({ ref, fn, val, selectFrom }) => ({
      ...rowOfTally((field) => tally[field]),
      status: as,
      ends_as: as,
      ended_number: selectFrom('watermarks').select('ended_count'),
      [`${as}_at`]: at,
      ...(isPassing ? { finalizing_at: fn.coalesce('finalizing_at', val(at)) } : {}),
      ...(tally.outputLines > 0 ? { output_file_id: ref('output_file_id_reserved') } : {}),
      ...(tally.errorLines > 0 ? { error_file_id: ref('error_file_id_reserved') } : {}),
    }))
    .where('id', '=', id)
    .where('status', 'in', from)
    // A batch that finalizes as expired cannot complete.
    .where(({ eb, or }) => or([eb('ends_as', 'is', null), eb('ends_as', '=', as)]))
  const outcome = await database.write([
    parts.watermarks.ended(),
    step(update.compile(), 1),
    ...files.map((file) => putFile(database, file)),
    ...usageSteps(database, id, usage),
    announcement(database, { batchId: id, event: `batch.${as}`, at }),
    parts.watermarks.seen(at),
  ])
  return outcome.isDone
}

/** A result file's row keeps the moment it was made; its size and deadline are those of the end. */
function putFile({ build }: Database, file: StoredFile): Step {
  const row = rowOfFile(file)
  const { bytes, expires_at, extents } = row
  const upsert = build
    .insertInto('files')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ bytes, expires_at, extents }))
  return step(upsert.compile(), 1)
}

async function revealOutput(id: string, file: StoredFile, { database, watermarks }: Parts): Promise<void> {
  const update = database.build
    .updateTable('batches')
    .set({ output_file_id: file.id })
    .where('id', '=', id)
    .where('output_file_id', 'is', null)
    .where('output_file_id_reserved', '=', file.id)
    .where('ended_number', 'is', null)
  const insert = database.build.insertInto('files').values(rowOfFile(file))
  // Unless the update changes its row, the unit is taken back: it was revealed before, or the end has done it.
  await database.write([
    step(update.compile(), 1),
    step(insert.compile(), 1),
    watermarks.seen(file.createdAt),
  ])
}

/** One statement for all batches, compiled once. A tally that would lower any counter is stale and ignored whole. */
function createTallyStep({ build }: Database) {
  const query = build
    .updateTable('batches')
    .set(rowOfTally((field) => hole<number>(field)))
    .where('id', '=', hole<string>('id'))
    .where('ended_number', 'is', null)
    .where(({ eb, and }) =>
      and(tallyFields.map((field) => eb(tallyColumns[field], '<=', hole<number>(field)))),
    )
    .compile()
  const values = template<keyof Tally | 'id'>(query)
  return (tallies: readonly { id: string; tally: Tally }[]): Step => ({
    sql: query.sql,
    runs: tallies.map(({ id, tally }) => values({ ...tally, id })),
    expects: null,
  })
}

async function children(database: Database, id: string): Promise<Batch[]> {
  const newest = database.build
    .selectFrom('batches')
    .selectAll()
    .where('retry_of', '=', id)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(1)
  const [liveOnes, newestOnes] = await database.read(liveChild(database, id), newest.compile())
  const found = new Map([...liveOnes.rows, ...newestOnes.rows].map((row) => [row.id, batchOfRow(row)]))
  return [...found.values()]
}
