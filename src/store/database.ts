/**
 * What the nouns of this folder need of a database: statements built by kysely on the main thread, run elsewhere as text and
 * parameters. SQLite implements it in a worker thread; a second implementation runs the same typed statements on PostgreSQL.
 */
import type { CompiledQuery, Kysely } from 'kysely'
import { BugError } from '../lib/errors.ts'
import type { Tables } from './schema.ts'

/** Booleans are 0 or 1, instants integer milliseconds, structures JSON text. */
export type Scalar = string | number | null

export type Statement = { sql: string; parameters: readonly Scalar[] }

/** One statement of a unit, run once for each entry of `runs`. */
export type Step = {
  sql: string
  runs: readonly (readonly Scalar[])[]
  /** Rows that all runs together must change. Another number takes the whole unit back. */
  expects: number | null
}

/** Steps that take effect together or not at all. */
export type Unit = readonly Step[]

export type UnitOutcome =
  | { isDone: true; changes: readonly number[] }
  /** Nothing of the unit was stored: step `failedStep`, counted from 0, did not change what it expected. */
  | { isDone: false; failedStep: number }

/** What became of one unit of those that shared a commit. */
export type GroupOutcome = { outcome: UnitOutcome } | { error: Error }

export type Row = Record<string, Scalar>

/** About what a row takes in memory. */
export function rowBytes(row: Row): number {
  let bytes = 0
  for (const value of Object.values(row)) bytes += typeof value === 'string' ? value.length + 16 : 16
  return bytes
}

/** `isCut`: the rows would have grown beyond what one reply may hold; those given are the first ones. */
export type RowPage<T> = { rows: T[]; isCut: boolean }

/** What one write costs; for tests, benches and metrics. */
export type WriteCounters = { units: number; commits: number }

export interface Database {
  readonly dialect: 'sqlite' | 'postgresql'
  /** Compiles statements in this database's dialect; never runs them. */
  readonly build: Kysely<Tables>
  /** Rows of each query, all of one snapshot. @throws TroubleError `disk_failed`, `damaged`, `unreachable`, `stopped` */
  read<T extends readonly CompiledQuery[]>(...queries: T): Promise<{ [K in keyof T]: RowPage<RowOf<T[K]>> }>
  /**
   * Stores a unit. Durable when it resolves with `isDone`. Units that wait at the same time share one commit.
   * @throws TroubleError `disk_full`, `disk_failed`, `unreachable`: nothing of the unit is stored; `stopped`: unknown.
   */
  write(unit: Unit): Promise<UnitOutcome>
  hasTable(name: string): Promise<boolean>
  counters(): Promise<WriteCounters>
  close(): Promise<void>
}

type RowOf<Q> = Q extends CompiledQuery<infer R> ? R : never

/** The text and parameters of a compiled query. */
export function statementOf(query: CompiledQuery): Statement {
  return { sql: query.sql, parameters: query.parameters.map(scalar) }
}

export function step(query: CompiledQuery, expects: number | null = null): Step {
  const { sql, parameters } = statementOf(query)
  return { sql, runs: [parameters], expects }
}

/**
 * A statement that is compiled once and run with many values: for what is written too often to be built each time.
 * @param query built with `hole(name)` wherever a value belongs.
 */
export function template<Name extends string>(
  query: CompiledQuery,
): (values: Record<Name, Scalar>) => Scalar[] {
  const names = query.parameters.map((parameter) => (parameter instanceof Hole ? parameter.name : null))
  const fixed = query.parameters.map((parameter) => (parameter instanceof Hole ? null : scalar(parameter)))
  return (values) =>
    names.map((name, place) => {
      if (name === null) return fixed[place] ?? null
      // The names are those of the type: `hole` is called with nothing else.
      const value = values[name as Name]
      if (value === undefined) throw new BugError(`statement lacks a value for ${name}`)
      return value
    })
}

class Hole {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}

/** A place for a value of type `T` in a statement for `template`. */
export function hole<T extends Scalar>(name: string): T {
  // Kysely passes values through to `parameters` untouched, so a marker may stand where a value will be.
  return new Hole(name) as unknown as T
}

function scalar(value: unknown): Scalar {
  if (value === null || typeof value === 'string') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new BugError(`not a value for the database: a ${typeof value}`)
}
