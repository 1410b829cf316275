/**
 * Material that stands beside the checkout and is not part of it: real input data, the published schema of the wire, and the
 * document that describes the program. Tests that need it are skipped, and say so, where it is absent.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from './server-process.ts'

const folder = join(projectFolder, '..', 'shared')

export const givenMaterial = {
  questions: join(folder, 'data', 'gsm8k-test.jsonl'),
  schema: join(folder, 'openai-batch-schema.json'),
  document: join(folder, 'reference', '000_6042e092798bafb1.txt'),
}

/** For the option `skip` of a test: false, or the reason. */
export function skipWithout(path: string): false | string {
  return existsSync(path) ? false : `needs ${path}, which stands beside a checkout and is not part of it`
}
