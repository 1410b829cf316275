/** What can be seen on this machine: the configuration, the runtime, and the data folder of a server that runs here. */
import { existsSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { CliError } from '../cli-error.ts'
import { formatBytes, shellWord } from '../format.ts'
import { baseUrlOf, type Setup } from '../layers.ts'
import { configPath } from '../profiles.ts'
import { type Check, type Finding, failed, ok, skipped, warned } from './checks.ts'

/** Stated in package.json. */
const NODE_VERSION_MIN = [22, 18] as const
const OTHERS = 0o077
/** What a folder that was used has; the last are there once the server has run. */
const DATA_FILES = ['lock.sqlite', 'dw.sqlite', 'owner-token', 'blobs', 'results'] as const
/** In place of its own database where that is PostgreSQL. */
const POSTGRES_MARK = 'postgres-folder'

export function configCheck(read: () => Setup, env: NodeJS.ProcessEnv): Check {
  return { name: 'config', needs: [], run: () => checkConfig(read, env) }
}

function checkConfig(read: () => Setup, env: NodeJS.ProcessEnv): Finding {
  let setup: Setup
  try {
    setup = read()
  } catch (thrown) {
    if (!(thrown instanceof CliError)) throw thrown
    return failed(thrown.message, thrown.hint ?? 'dw config show --origin')
  }
  const { target, serverOrigin, notes } = setup
  if (target === null)
    return failed(
      'no server is named and none was found on this machine',
      'dw serve, or dw login https://HOST',
    )
  const path = configPath(env)
  if (isOpenToOthers(path))
    return warned(`${path} holds keys and other users may read it`, `chmod 600 ${shellWord(path)}`)
  const note = notes.length === 0 ? '' : `. ${notes.join(' ')}`
  return ok(`${baseUrlOf(target)}, named by ${serverOrigin?.where ?? 'nothing'}${note}`)
}

export const nodeCheck: Check = {
  name: 'node',
  needs: [],
  run: () => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
    const [majorMin, minorMin] = NODE_VERSION_MIN
    const isEnough = major > majorMin || (major === majorMin && minor >= minorMin)
    return isEnough
      ? ok(`Node ${process.versions.node}`)
      : failed(
          `Node ${process.versions.node} is older than ${NODE_VERSION_MIN.join('.')}`,
          'Install a newer one: https://nodejs.org/en/download',
        )
  },
}

/** @param dataDir null for a server that does not run on this machine */
export function dataFolderCheck(dataDir: () => string | null): Check {
  return { name: 'data-folder', needs: ['config'], run: () => checkDataFolder(dataDir()) }
}

function checkDataFolder(folder: string | null): Finding {
  if (folder === null) return skipped('the server is not one that was found on this machine')
  const hasOwn = !existsSync(join(folder, POSTGRES_MARK))
  const files = DATA_FILES.map((name) => (name === 'dw.sqlite' && !hasOwn ? POSTGRES_MARK : name))
  const missing = files.filter((name) => !existsSync(join(folder, name)))
  if (missing.length > 0)
    return failed(
      `${folder} lacks ${missing.join(', ')}`,
      'Stop the server and restore the folder from a backup.',
    )
  const open = ['', ...files].map((name) => join(folder, name)).filter(isOpenToOthers)
  // What lies in a folder that nobody else may enter is out of reach, whatever its own rights.
  if (open.includes(join(folder)))
    return failed(`other users may enter ${folder}`, `chmod 700 ${shellWord(folder)}`)
  return ok(`${folder} is whole and open to its owner alone`)
}

/** Systems without such rights have none to check. */
function isOpenToOthers(path: string): boolean {
  return process.getuid !== undefined && existsSync(path) && (statSync(path).mode & OTHERS) !== 0
}

export function freeSpaceOf(folder: string | null): string | null {
  if (folder === null || !existsSync(folder)) return null
  const { bavail, bsize } = statfsSync(folder)
  return formatBytes(bavail * bsize)
}
