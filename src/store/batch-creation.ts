/**
 * Creating a batch exactly once. Two rules are kept by indexes of the database, so that no race can break them: an idempotency key
 * names one batch, and a batch has at most one live child. Whoever comes second gets the batch of the first.
 */
import type { CompiledQuery, Selectable } from 'kysely'
import { CREATE_ATTEMPTS_MAX, IDEMPOTENCY_PURGE_MAX } from '../domain/limits.ts'
import { assert, RefusedError, TroubleError } from '../lib/errors.ts'
import { batchOfRow, rowOfNewBatch } from './batch-row.ts'
import { type Database, type Step, step } from './database.ts'
import type { BatchTable } from './schema.ts'
import type { Batch, Idempotency, NewBatch } from './store.ts'
import type { Watermarks } from './watermarks.ts'

type Created = { batch: Batch; isNew: boolean }
type Parts = { database: Database; watermarks: Watermarks }

export async function createBatch(
  batch: NewBatch,
  idempotency: Idempotency | null,
  parts: Parts,
): Promise<Created> {
  const { database, watermarks } = parts
  const unit = [
    step(insertBatch(database, batch), 1),
    ...(idempotency === null
      ? []
      : claimKey(database, idempotency, { batchId: batch.id, at: batch.createdAt })),
    watermarks.seen(batch.createdAt),
  ]
  for (let attempt = 0; attempt < CREATE_ATTEMPTS_MAX; attempt += 1) {
    if ((await database.write(unit)).isDone) {
      const made = await oneBatch(database, byId(database, batch.id))
      assert(made !== null, 'a batch whose unit was committed can be read')
      return { batch: made, isNew: true }
    }
    const earlier = await earlierBatch(batch, idempotency, parts)
    if (earlier !== null) return { batch: earlier, isNew: false }
    // What stood in the way ended or expired in the meantime.
  }
  throw new TroubleError(
    'interrupted',
    'the batch could not be created beside others that end just now: try again',
  )
}

function insertBatch({ build }: Database, batch: NewBatch): CompiledQuery {
  const insert = build.insertInto('batches').values(rowOfNewBatch(batch))
  if (batch.retryOf === null) return insert.compile()
  return insert
    .onConflict((conflict) => conflict.column('retry_of').where('ended_number', 'is', null).doNothing())
    .compile()
}

/** Steps that tie the key to a batch, after old keys have made room. The last one changes nothing when the key is in use. */
function claimKey(
  { build }: Database,
  idempotency: Idempotency,
  claim: { batchId: string; at: number },
): Step[] {
  const { tenantId, key, bodyHash, expiresAt } = idempotency
  const keys = build.deleteFrom('idempotency_keys').where('expires_at', '<=', claim.at)
  const oldest = build
    .selectFrom('idempotency_keys')
    .select(['tenant_id', 'key'])
    .where('expires_at', '<=', claim.at)
    .orderBy('expires_at')
    .limit(IDEMPOTENCY_PURGE_MAX)
  const insert = build
    .insertInto('idempotency_keys')
    .values({ tenant_id: tenantId, key, body_hash: bodyHash, batch_id: claim.batchId, expires_at: expiresAt })
    .onConflict((conflict) => conflict.columns(['tenant_id', 'key']).doNothing())
  return [
    step(keys.where('tenant_id', '=', tenantId).where('key', '=', key).compile()),
    step(
      keys
        .where(({ eb, refTuple }) =>
          eb(refTuple('tenant_id', 'key'), 'in', oldest.$asTuple('tenant_id', 'key')),
        )
        .compile(),
    ),
    step(insert.compile(), 1),
  ]
}

/** The batch that came first, or null when there is none any more. */
async function earlierBatch(
  batch: NewBatch,
  idempotency: Idempotency | null,
  { database }: Parts,
): Promise<Batch | null> {
  if (idempotency !== null) {
    const named = await batchOfKey(database, idempotency, batch.createdAt)
    if (named !== null) return named
  }
  if (batch.retryOf === null) return null
  const child = await oneBatch(database, liveChild(database, batch.retryOf))
  if (child === null || idempotency === null) return child
  // The same key must name the same batch later too, also after this child has ended.
  const claim = claimKey(database, idempotency, { batchId: child.id, at: batch.createdAt })
  return (await database.write(claim)).isDone ? child : batchOfKey(database, idempotency, batch.createdAt)
}

async function batchOfKey(database: Database, idempotency: Idempotency, at: number): Promise<Batch | null> {
  const { tenantId, key, bodyHash } = idempotency
  const query = database.build
    .selectFrom('idempotency_keys')
    .select(['body_hash', 'batch_id'])
    .where('tenant_id', '=', tenantId)
    .where('key', '=', key)
    .where('expires_at', '>', at)
  const [{ rows }] = await database.read(query.compile())
  const found = rows[0]
  if (found === undefined) return null
  if (found.body_hash !== bodyHash) {
    throw new RefusedError(
      'idempotency_mismatch',
      'This Idempotency-Key was used before with another request body. Send a new key with a new request.',
      { status: 409, param: 'Idempotency-Key' },
    )
  }
  return oneBatch(database, byId(database, found.batch_id))
}

export function byId({ build }: Database, id: string): CompiledQuery<Selectable<BatchTable>> {
  return build.selectFrom('batches').selectAll().where('id', '=', id).compile()
}

export function liveChild({ build }: Database, id: string): CompiledQuery<Selectable<BatchTable>> {
  return build
    .selectFrom('batches')
    .selectAll()
    .where('retry_of', '=', id)
    .where('ended_number', 'is', null)
    .compile()
}

export async function oneBatch(
  database: Database,
  query: CompiledQuery<Selectable<BatchTable>>,
): Promise<Batch | null> {
  const [{ rows }] = await database.read(query)
  return rows[0] === undefined ? null : batchOfRow(rows[0])
}
