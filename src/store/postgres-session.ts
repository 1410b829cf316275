/**
 * One connection to PostgreSQL. Statements are sent at once, without waiting for the answers to earlier ones, and are run in that
 * order; so a transaction of many statements costs one way there and back. A connection that broke, or that was silent for too long
 * while it was being asked, is lost for good: every statement under way fails, and its owner opens another one.
 */
import { Socket } from 'node:net'
import type pg from 'pg'
import {
  DATABASE_CONNECT_MS_MAX,
  DATABASE_REPLY_BYTES_MAX,
  DATABASE_SILENCE_MS_MAX,
  DATABASE_STATEMENTS_MAX,
} from '../domain/limits.ts'
import { type Row, type RowPage, rowBytes, type Statement } from './database.ts'
import { parserOf, storedText } from './postgres-values.ts'

export type Reply = RowPage<Row> & {
  /** Rows that were inserted, updated or deleted. */
  changes: number
  /** The statement's kind as the server names it; `ROLLBACK` is its answer to the commit of a transaction that has failed. */
  command: string
}

export type SessionOptions = {
  url: string
  /** Shown by `pg_stat_activity`, at most 63 bytes. */
  name: string
}

export type PostgresSession = {
  /** Sends the statement; it is under way when this returns. Rejects with what the server or the connection says. */
  run(statement: Statement): Promise<Reply>
  /** Statements sent and not yet answered. */
  underWay(): number
  isLost(): boolean
  /** From now on the server may be silent for so long. */
  allowSilence(ms: number): void
  /** Statements are prepared afresh from now on. */
  forgetStatements(): void
  /** Ends it; what is under way is answered first unless the connection is lost. */
  close(): Promise<void>
  /** Cuts it: for a connection of which nothing good is to be expected. */
  abandon(): void
}

const KEEP_ALIVE_MS = 10_000
const isWorthPreparing = /^\s*(select|insert|update|delete)\b/i

/** @throws what the client library or the server says */
export async function openPostgresSession(options: SessionOptions): Promise<PostgresSession> {
  // Late: a server on the embedded database does not pay for the library.
  const library = await import('pg')
  const socket = new Socket()
  const client = new library.Client({
    connectionString: options.url,
    application_name: options.name,
    connectionTimeoutMillis: DATABASE_CONNECT_MS_MAX,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    pipeline: true,
    stream: () => socket,
    types: { getTypeParser: parserOf },
  })
  let lost = false
  // Both are told to the statements under way as well.
  client.on('error', () => {
    lost = true
  })
  client.on('end', () => {
    lost = true
  })
  await client.connect()
  const silence = createSilenceTimer(() => {
    lost = true
    socket.destroy(new Error('PostgreSQL has been silent for too long'))
  })
  const names = createNames()
  let closing: Promise<void> | null = null
  return {
    run: (statement) => ask({ library, client, silence }, { ...statement, name: names.of(statement.sql) }),
    underWay: () => silence.underWay(),
    isLost: () => lost,
    allowSilence: (ms) => silence.allow(ms),
    forgetStatements: () => names.forget(),
    close() {
      closing ??= lost ? Promise.resolve(void socket.destroy()) : client.end()
      return closing
    },
    abandon() {
      lost = true
      socket.destroy()
    },
  }
}

type Asking = { library: typeof pg; client: pg.Client; silence: SilenceTimer }

function ask(
  { library, client, silence }: Asking,
  { sql, parameters, name }: Statement & { name: string | undefined },
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const values = parameters.map((value) => (typeof value === 'string' ? storedText(value) : value))
    const query = new library.Query<Row>({ text: sql, values, ...(name === undefined ? {} : { name }) })
    const rows: Row[] = []
    let bytes = 0
    let isCut = false
    query.on('row', (row) => {
      silence.heard()
      bytes += rowBytes(row)
      // The rest is read and dropped: whoever asks for that much has to bound its statement.
      if (bytes > DATABASE_REPLY_BYTES_MAX && rows.length > 0) isCut = true
      if (!isCut) rows.push(row)
    })
    query.on('end', ({ rowCount, command }) => {
      silence.answered()
      resolve({ rows, isCut, changes: rowCount ?? 0, command })
    })
    query.on('error', (error) => {
      silence.answered()
      reject(error)
    })
    silence.asked()
    client.query(query)
  })
}

type SilenceTimer = ReturnType<typeof createSilenceTimer>

/** Runs while something has been asked and nothing is heard. */
function createSilenceTimer(onSilence: () => void) {
  let allowedMs = DATABASE_SILENCE_MS_MAX
  let underWay = 0
  let timer: NodeJS.Timeout | null = null
  const rearm = (): void => {
    if (underWay === 0) {
      if (timer !== null) clearTimeout(timer)
      timer = null
    } else if (timer === null) timer = setTimeout(onSilence, allowedMs)
    else timer.refresh()
  }
  return {
    asked(): void {
      underWay += 1
      if (underWay === 1) rearm()
    },
    heard: rearm,
    answered(): void {
      underWay -= 1
      rearm()
    },
    underWay: () => underWay,
    allow(ms: number): void {
      allowedMs = ms
    },
  }
}

/** Names under which the server keeps statements prepared; beyond the bound, and for what is run once, none. */
function createNames() {
  let names = new Map<string, string>()
  let given = 0
  return {
    of(sql: string): string | undefined {
      const known = names.get(sql)
      if (known !== undefined || names.size >= DATABASE_STATEMENTS_MAX || !isWorthPreparing.test(sql))
        return known
      given += 1
      const name = `dw${given}`
      names.set(sql, name)
      return name
    },
    forget(): void {
      names = new Map()
    },
  }
}
