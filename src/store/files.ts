/** Rows of input, output and error files. */
import type { CompiledQuery, Selectable } from 'kysely'
import type { StoredFile } from '../domain/file.ts'
import { FILE_LIST_MAX } from '../domain/limits.ts'
import { type Database, step } from './database.ts'
import { fileOfRow, rowOfFile } from './file-row.ts'
import { paged, unknownAfter } from './paging.ts'
import type { FileTable } from './schema.ts'
import type { FileStore, Paged } from './store.ts'
import type { Watermarks } from './watermarks.ts'

type FileFilter = Parameters<FileStore['list']>[1]

export function createFileStore(database: Database, watermarks: Watermarks): FileStore {
  const { build } = database
  const one = async (query: CompiledQuery<Selectable<FileTable>>): Promise<StoredFile | null> => {
    const [{ rows }] = await database.read(query)
    return rows[0] === undefined ? null : fileOfRow(rows[0])
  }
  const several = async (query: CompiledQuery<Selectable<FileTable>>): Promise<StoredFile[]> => {
    const [{ rows }] = await database.read(query)
    return rows.map(fileOfRow)
  }
  const shown = build.selectFrom('files').selectAll().where('deleted_at', 'is', null)
  return {
    async create(file) {
      const insert = build.insertInto('files').values(rowOfFile(file)).compile()
      await database.write([step(insert, 1), watermarks.seen(file.createdAt)])
    },
    get(id, tenantId) {
      const query = shown.where('id', '=', id)
      return one((tenantId === null ? query : query.where('tenant_id', '=', tenantId)).compile())
    },
    getEvenDeleted: (id) => one(build.selectFrom('files').selectAll().where('id', '=', id).compile()),
    list: (tenantId, filter) => list(database, tenantId, filter),
    async hide(id, at) {
      const update = build
        .updateTable('files')
        .set({ deleted_at: at })
        .where('id', '=', id)
        .where('deleted_at', 'is', null)
      return (await database.write([step(update.compile(), 1), watermarks.seen(at)])).isDone
    },
    expired: (at, limit) => several(expiredQuery(database, at, limit)),
    removable: (limit) => several(removableQuery(database, limit)),
    async forget(id) {
      const remove = build.deleteFrom('files').where('id', '=', id).where('deleted_at', 'is not', null)
      await database.write([step(remove.compile())])
    },
  }
}

async function list(database: Database, tenantId: string, filter: FileFilter): Promise<Paged<StoredFile>> {
  const { build } = database
  const { purpose, order, after } = filter
  const limit = Math.min(filter.limit, FILE_LIST_MAX)
  let query = build
    .selectFrom('files')
    .selectAll()
    .where('tenant_id', '=', tenantId)
    .where('deleted_at', 'is', null)
    .orderBy('created_at', order)
    .orderBy('id', order)
    .limit(limit + 1)
  if (purpose !== null) query = query.where('purpose', '=', purpose)
  if (after !== null) {
    // A file that was deleted since its page was read still says where that page ended.
    const cursor = build.selectFrom('files').select('created_at').where('id', '=', after)
    const [{ rows }] = await database.read(cursor.where('tenant_id', '=', tenantId).compile())
    const createdAt = rows[0]?.created_at
    if (createdAt === undefined) throw unknownAfter(after)
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'id'), order === 'desc' ? '<' : '>', tuple(createdAt, after)),
    )
  }
  const [page] = await database.read(query.compile())
  return paged(page, limit, fileOfRow)
}

/** The result files of a live batch stay, whatever their row says: their deadline counts from the end. */
function expiredQuery({ build }: Database, at: number, limit: number) {
  return build
    .selectFrom('files')
    .selectAll()
    .where('deleted_at', 'is', null)
    .where('expires_at', '<=', at)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('batches')
            .select('seq')
            .whereRef('batches.id', '=', 'files.batch_id')
            .where('ended_number', 'is', null),
        ),
      ),
    )
    .orderBy('expires_at')
    .orderBy('id')
    .limit(Math.min(limit, FILE_LIST_MAX))
    .compile()
}

function removableQuery({ build }: Database, limit: number) {
  return build
    .selectFrom('files')
    .selectAll()
    .where('kind', '=', 'input')
    .where('deleted_at', 'is not', null)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('batches')
            .select('seq')
            .whereRef('batches.input_file_id', '=', 'files.id')
            .where('ended_number', 'is', null),
        ),
      ),
    )
    .orderBy('deleted_at')
    .orderBy('id')
    .limit(Math.min(limit, FILE_LIST_MAX))
    .compile()
}
