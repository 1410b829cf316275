/**
 * Which deployment the servers of a test run on. With `DW_TEST_POSTGRES`, the address of a PostgreSQL, each data folder has a schema
 * of its own there; without it the embedded database is used, as a person who starts a server would get it.
 */
import { createHash } from 'node:crypto'
import pg from 'pg'

const SCHEMA_DIGITS = 16

/** The same for the same folder, so that a server that is started again finds its batches. */
export async function testDatabase(dataDir: string): Promise<string | null> {
  const url = process.env.DW_TEST_POSTGRES
  if (url === undefined) return null
  const schema = `dw_${createHash('sha256').update(dataDir).digest('hex').slice(0, SCHEMA_DIGITS)}`
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`create schema if not exists ${schema}`)
  } finally {
    await client.end()
  }
  return `${url}&options=-csearch_path%3D${schema}`
}
