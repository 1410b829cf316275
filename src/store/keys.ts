/** Keys, of which only a hash is stored. A key is revoked and never deleted, so open mode cannot come back. */
import type { Selectable } from 'kysely'
import { KEYS_MAX } from '../domain/limits.ts'
import { RefusedError } from '../lib/errors.ts'
import { type Database, step } from './database.ts'
import type { KeyTable } from './schema.ts'
import type { Key, KeyStore } from './store.ts'
import type { Watermarks } from './watermarks.ts'

export function createKeyStore(database: Database, watermarks: Watermarks): KeyStore {
  const { build } = database
  const all = build.selectFrom('keys').selectAll()
  return {
    async create(key, hash) {
      const [{ rows }] = await database.read(
        build
          .selectFrom('keys')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .compile(),
      )
      if ((rows[0]?.count ?? 0) >= KEYS_MAX) {
        throw new RefusedError(
          'too_many_keys',
          `There are ${KEYS_MAX} keys already, the most this server keeps.`,
          { status: 409 },
        )
      }
      const insert = build.insertInto('keys').values(rowOfKey(key, hash)).compile()
      await database.write([step(insert, 1), watermarks.seen(key.createdAt)])
    },
    async findByHash(hash) {
      const [{ rows }] = await database.read(all.where('hash', '=', hash).compile())
      return rows[0] === undefined ? null : keyOfRow(rows[0])
    },
    async list() {
      const newestFirst = all.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(KEYS_MAX)
      const [{ rows }] = await database.read(newestFirst.compile())
      return rows.map(keyOfRow)
    },
    async revoke(id, at) {
      const update = build
        .updateTable('keys')
        .set({ revoked_at: at })
        .where('id', '=', id)
        .where('revoked_at', 'is', null)
      return (await database.write([step(update.compile(), 1), watermarks.seen(at)])).isDone
    },
    async touch(id, at) {
      const update = build
        .updateTable('keys')
        .set({ last_used_at: at })
        .where('id', '=', id)
        .where(({ eb, or }) => or([eb('last_used_at', 'is', null), eb('last_used_at', '<', at)]))
      await database.write([step(update.compile()), watermarks.seen(at)])
    },
    async any() {
      const [{ rows }] = await database.read(build.selectFrom('keys').select('id').limit(1).compile())
      return rows.length > 0
    },
  }
}

function rowOfKey(key: Key, hash: string): KeyTable {
  return {
    id: key.id,
    hash,
    tenant_id: key.tenantId,
    name: key.name,
    tail: key.tail,
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    last_used_at: key.lastUsedAt,
  }
}

function keyOfRow(row: Selectable<KeyTable>): Key {
  return {
    id: row.id,
    tenantId: row.tenant_id,
    name: row.name,
    tail: row.tail,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
  }
}
