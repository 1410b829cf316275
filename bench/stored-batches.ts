/** Fills a stopped server's database with copies of its one ended batch: a past of any length within seconds. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Copies differ in what is unique and in what orders the list; each is a second older than the one before. */
const COPY = `
  WITH RECURSIVE copies (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM copies WHERE number < ?)
  INSERT INTO batches (COLUMNS) SELECT VALUES_ FROM copies, (SELECT * FROM batches LIMIT 1) AS original`

/** @returns the ids of the copies */
export function storeCopies(dataDir: string, count: number): string[] {
  const database = new DatabaseSync(join(dataDir, 'dw.sqlite'))
  try {
    const own: Record<string, string> = {
      id: `'${idOfCopy('')}' || number`,
      created_at: 'original.created_at - 1000 * number',
      ended_number: 'original.ended_number + number',
    }
    const names = database
      .prepare("SELECT name FROM pragma_table_info('batches')")
      .all()
      .map(({ name }) => String(name))
      .filter((name) => name !== 'seq')
    const columns = names.map((name) => `"${name}"`).join(', ')
    const values = names.map((name) => own[name] ?? `original."${name}"`).join(', ')
    database.prepare(COPY.replace('COLUMNS', columns).replace('VALUES_', values)).run(count)
    database.prepare('UPDATE watermarks SET ended_count = ended_count + ?').run(count)
  } finally {
    database.close()
  }
  return Array.from({ length: count }, (_, index) => idOfCopy(String(index + 1)))
}

function idOfCopy(number: string): string {
  return `batch_copy${number}`
}
