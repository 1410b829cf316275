import { execFileSync } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { projectFolder } from './server-process.ts'

/** The machine's own Node, if it is a 20: the first on the PATH that is no part of the project. */
export function findNode20(): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, 'node')
    if (folder === '' || !existsSync(path) || realpathSync(path).startsWith(realpathSync(projectFolder)))
      continue
    const version = execFileSync(path, ['--version'], { encoding: 'utf8' })
    if (version.startsWith('v20.')) return realpathSync(path)
  }
  return null
}
