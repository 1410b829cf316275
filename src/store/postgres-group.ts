/**
 * A group of units as one transaction, up to but without its commit.
 *
 * All statements of the group are sent at once: two ways to the server and back, commit included, however many units there are.
 * When any unit is refused or changes other rows than it expects, the transaction is taken back and run again with a savepoint
 * before each unit, which costs a way per unit that fails; so the usual case pays nothing for the rare one.
 */
import { assert, messageOf } from '../lib/errors.ts'
import type { GroupOutcome, Unit } from './database.ts'
import type { PostgresSession, Reply } from './postgres-session.ts'
import { plain } from './postgres-setup.ts'
import { isConflict, isLostConnection, storageTrouble } from './postgres-trouble.ts'

// Written out: the server's defaults are not ours to know.
const BEGIN = plain('begin isolation level read committed read write')
const ROLLBACK = plain('rollback')

/** Guess: with savepoints; each unit that fails sends those behind it once more. */
const SENT_TOGETHER_MAX = 16

export type GroupMark = { owner: string; number: number }

/**
 * @param mark the commit's number, written into the row of this process: what was committed can be asked for afterwards.
 * @throws the server's error when it concerns the whole group: a lost connection, a conflict, storage that fails
 */
export async function writeGroup(
  session: PostgresSession,
  units: readonly Unit[],
  mark: GroupMark,
): Promise<GroupOutcome[]> {
  const opening = [session.run(BEGIN), session.run(markStatement(mark))]
  const sent = units.map((unit) => sendUnit(session, unit))
  await requireOpened(session, opening, sent)
  const outcomes = await Promise.all(sent.map(outcomeOf))
  if (outcomes.every(isStored)) return outcomes
  await session.run(ROLLBACK)
  const again = [session.run(BEGIN), session.run(markStatement(mark))]
  await requireOpened(session, again, [])
  return writeWithSavepoints(session, units)
}

export async function takeBackGroup(session: PostgresSession): Promise<void> {
  await session.run(ROLLBACK)
}

/** The guard keeps a transaction of an earlier connection of this process, should one still be under way, from passing after this one. */
function markStatement({ owner, number }: GroupMark) {
  return {
    sql: 'update postgres_writers set number = $1 where owner = $2 and number < $1',
    parameters: [number, owner],
  }
}

async function requireOpened(
  session: PostgresSession,
  opening: readonly Promise<Reply>[],
  sent: readonly SentUnit[],
): Promise<void> {
  // Every answer is waited for, so that none is left behind and none rejects unheard.
  const [begun, marked] = await Promise.allSettled(opening)
  await Promise.all(sent.map(({ replies }) => Promise.allSettled(replies)))
  if (begun?.status === 'rejected') throw begun.reason
  if (marked?.status === 'rejected') throw marked.reason
  if (marked?.value.changes !== 1) {
    await session.run(ROLLBACK)
    assert(false, 'a commit has a number above all before it, and a row to note it in')
  }
}

type SentUnit = { unit: Unit; replies: readonly Promise<Reply>[] }

function sendUnit(session: PostgresSession, unit: Unit): SentUnit {
  const replies = unit.flatMap(({ sql, runs }) => runs.map((parameters) => session.run({ sql, parameters })))
  return { unit, replies }
}

function isStored(result: GroupOutcome): boolean {
  return 'outcome' in result && result.outcome.isDone
}

/** @throws what concerns the whole group */
async function outcomeOf({ unit, replies }: SentUnit): Promise<GroupOutcome> {
  const settled = await Promise.allSettled(replies)
  const changes: number[] = []
  let next = 0
  for (const [place, { runs, expects }] of unit.entries()) {
    let changed = 0
    for (const reply of settled.slice(next, next + runs.length)) {
      if (reply.status === 'rejected') return refusedUnit(reply.reason)
      changed += reply.value.changes
    }
    next += runs.length
    if (expects !== null && changed !== expects) return { outcome: { isDone: false, failedStep: place } }
    changes.push(changed)
  }
  return { outcome: { isDone: true, changes } }
}

function refusedUnit(reason: unknown): GroupOutcome {
  if (isLostConnection(reason) || isConflict(reason) || storageTrouble('', reason) !== null) throw reason
  return { error: new Error(`statement refused: ${messageOf(reason)}`, { cause: reason }) }
}

/** Some units go out together; from the first that fails on they are taken back, and those behind it go out again. */
async function writeWithSavepoints(
  session: PostgresSession,
  units: readonly Unit[],
): Promise<GroupOutcome[]> {
  const outcomes: GroupOutcome[] = []
  while (outcomes.length < units.length) {
    const from = outcomes.length
    const sent = units.slice(from, from + SENT_TOGETHER_MAX).map((unit, place) => {
      const saved = session.run(plain(`savepoint unit_${from + place}`))
      return { saved, ...sendUnit(session, unit) }
    })
    await Promise.allSettled(sent.flatMap(({ saved, replies }) => [saved, ...replies]))
    const [first] = sent
    if (first !== undefined) await first.saved
    for (const part of sent) {
      const result = await outcomeOf(part)
      outcomes.push(result)
      if (isStored(result)) continue
      await session.run(plain(`rollback to savepoint unit_${outcomes.length - 1}`))
      break
    }
  }
  return outcomes
}
