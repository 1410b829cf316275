import { statSync } from 'node:fs'
import { messageOf, systemCodeOf } from '../../lib/errors.ts'
import { CliError } from '../cli-error.ts'

/** @throws CliError when there is no regular file of that name */
export function requireFile(path: string): { bytes: number } {
  try {
    const stats = statSync(path)
    if (!stats.isFile()) throw new CliError('not_a_file', `${path} is not a file.`, { exit: 'usage' })
    return { bytes: stats.size }
  } catch (thrown) {
    if (thrown instanceof CliError) throw thrown
    const why = systemCodeOf(thrown) === 'ENOENT' ? 'there is no such file' : messageOf(thrown)
    throw new CliError('no_such_file', `${path}: ${why}.`, { exit: 'usage' })
  }
}
