/** Whether a folder may be taken as a data folder: absent, empty, or one that a server of ours has used. */
import { join } from 'node:path'
import { systemDisk } from '../lib/disk.ts'
import { RefusedError, systemCodeOf } from '../lib/errors.ts'

/** What a fresh file system has of its own. */
const IGNORED: ReadonlySet<string> = new Set(['lost+found'])

/**
 * Call it before anything of the folder is changed: somebody's home folder, named by mistake, keeps its rights and its peace.
 * @param marks files of which a used folder has at least one
 * @throws RefusedError `data_folder`
 */
export function requireOwnFolder(folder: string, marks: readonly string[]): void {
  if (!systemDisk.exists(folder) || marks.some((name) => systemDisk.exists(join(folder, name)))) return
  const [stranger] = namesIn(folder).filter((name) => !IGNORED.has(name))
  if (stranger === undefined) return
  throw new RefusedError(
    'data_folder',
    `Cannot use ${folder} as the data folder: it holds '${stranger}' and was not made by dw. Name another, or an empty one, with --data-dir.`,
  )
}

function namesIn(folder: string): string[] {
  try {
    return systemDisk.list(folder)
  } catch (thrown) {
    // A file: who makes the folder says so.
    if (systemCodeOf(thrown) === 'ENOTDIR') return []
    throw thrown
  }
}
