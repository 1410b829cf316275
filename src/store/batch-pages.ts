/**
 * Lists of batches. Plain lists page by (created_at, id). With active ones first, batches change their section by ending while
 * somebody walks through the pages; so a walk sticks to the sections as they were at its first page: batches that have ended since
 * still count as active. What a page hands out is only an id, so the starting point of a walk is remembered under it, in memory and
 * for a bounded number of walks. A walk whose starting point is forgotten goes on with the sections of now.
 */
import { type CompiledQuery, type Selectable, sql } from 'kysely'
import { BATCH_LIST_MAX, LIST_WALKS_MAX } from '../domain/limits.ts'
import { batchOfRow } from './batch-row.ts'
import type { Database, RowPage } from './database.ts'
import { type Place, paged, unknownAfter } from './paging.ts'
import type { BatchTable } from './schema.ts'
import type { Batch, Page, Paged } from './store.ts'

type BatchRow = Selectable<BatchTable>
type BatchQuery = CompiledQuery<BatchRow>

export type BatchPages = {
  list(tenantId: string, filter: { activeFirst: boolean } & Page): Promise<Paged<Batch>>
}

export function createBatchPages(database: Database): BatchPages {
  const walks = createWalks()
  return {
    async list(tenantId, filter) {
      const limit = Math.min(filter.limit, BATCH_LIST_MAX)
      const cursor = filter.after === null ? null : await findCursor(database, tenantId, filter.after)
      if (!filter.activeFirst) {
        const [page] = await database.read(newestFirst(database, { tenantId, below: cursor, limit }))
        return paged(page, limit, batchOfRow)
      }
      const startCount = cursor === null ? null : walks.startOf(cursor.id)
      const { page, count } = await readActiveFirst(database, { tenantId, cursor, limit, startCount })
      const result = paged(page, limit, batchOfRow)
      const last = result.items.at(-1)
      if (last !== undefined && result.hasMore) walks.remember(last.id, count)
      return result
    },
  }
}

type Cursor = Place & { endedNumber: number | null }

async function findCursor(database: Database, tenantId: string, after: string): Promise<Cursor> {
  const query = database.build
    .selectFrom('batches')
    .select(['created_at as createdAt', 'id', 'ended_number as endedNumber'])
    .where('id', '=', after)
    .where('tenant_id', '=', tenantId)
  const [{ rows }] = await database.read(query.compile())
  if (rows[0] === undefined) throw unknownAfter(after)
  return rows[0]
}

type PageOf = { tenantId: string; below: Place | null; limit: number }

function pageQuery({ build }: Database, { tenantId, below, limit }: PageOf) {
  const query = build
    .selectFrom('batches')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (below === null) return query
  return query.where(({ eb, refTuple, tuple }) =>
    eb(refTuple('created_at', 'id'), '<', tuple(below.createdAt, below.id)),
  )
}

function newestFirst(database: Database, page: PageOf): BatchQuery {
  return pageQuery(database, page).compile()
}

async function readActiveFirst(
  database: Database,
  wanted: { tenantId: string; cursor: Cursor | null; limit: number; startCount: number | null },
): Promise<{ page: RowPage<BatchRow>; count: number }> {
  const { tenantId, cursor, limit } = wanted
  const countQuery = database.build.selectFrom('watermarks').select('ended_count').compile()
  const count = wanted.startCount ?? (await endedCount(database, countQuery))
  // An ended number above the count belongs to a batch that was active when the walk began.
  const wasActive = cursor === null || cursor.endedNumber === null || cursor.endedNumber > count
  const active = { tenantId, below: cursor, limit }
  const ended = { tenantId, below: wasActive ? null : cursor, limit }
  const [live, endedSince, endedBefore] = await database.read(
    pageQuery(database, active).where('ended_number', 'is', null).compile(),
    endedAfter(database, active, count),
    pageQuery(database, ended)
      .where('ended_number', 'is not', null)
      // The plus keeps SQLite from finding them by number, which would have it sort them all.
      .where(sql<number>`+ended_number`, '<=', count)
      .compile(),
  )
  const first = wasActive ? merge(live, endedSince) : { rows: [], isCut: false }
  // Behind a cut nothing may follow: the rows that were left out come first.
  if (first.isCut) return { page: first, count }
  return { page: { rows: [...first.rows, ...endedBefore.rows], isCut: endedBefore.isCut }, count }
}

/**
 * Those that ended since the walk began: few, found by their number and then put in order. The pluses keep SQLite from walking
 * through all ended batches in order of creation instead.
 */
function endedAfter({ build }: Database, { tenantId, below, limit }: PageOf, count: number): BatchQuery {
  const createdAt = sql<number>`+created_at`
  const query = build
    .selectFrom('batches')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('ended_number', '>', count)
    .orderBy(createdAt, 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (below === null) return query.compile()
  return query
    .where(({ eb, or, and }) =>
      or([
        eb(createdAt, '<', below.createdAt),
        and([eb(createdAt, '=', below.createdAt), eb('id', '<', below.id)]),
      ]),
    )
    .compile()
}

async function endedCount(
  database: Database,
  query: CompiledQuery<{ ended_count: number }>,
): Promise<number> {
  const [{ rows }] = await database.read(query)
  return rows[0]?.ended_count ?? 0
}

/** Two lists, each newest first, as one. Where one was cut, the result ends with its last row. */
function merge(one: RowPage<BatchRow>, other: RowPage<BatchRow>): RowPage<BatchRow> {
  const rows = [...one.rows, ...other.rows].sort((a, b) => (isNewer(a, b) ? -1 : 1))
  const lasts = [one, other].filter((page) => page.isCut).map((page) => page.rows.at(-1))
  const ends = lasts.map((last) => (last === undefined ? rows.length : rows.indexOf(last) + 1))
  return { rows: rows.slice(0, Math.min(rows.length, ...ends)), isCut: ends.length > 0 }
}

function isNewer(a: BatchRow, b: BatchRow): boolean {
  return a.created_at === b.created_at ? a.id > b.id : a.created_at > b.created_at
}

/** How many batches had ended when a walk began, by the id at which its last page ended. */
function createWalks() {
  const starts = new Map<string, number>()
  return {
    startOf: (id: string): number | null => starts.get(id) ?? null,
    remember(id: string, count: number): void {
      starts.delete(id)
      starts.set(id, count)
      const oldest = starts.keys().next()
      if (starts.size > LIST_WALKS_MAX && !oldest.done) starts.delete(oldest.value)
    },
  }
}
