/**
 * `dw.toml` of a project: the server, the window and the model that go with its files. It is shared, so it never holds a key; and it may have
 * come with somebody's repository, so no key follows it to a host that the key was not stored for.
 */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { parse, type TomlTable } from 'smol-toml'
import { CliError } from './cli-error.ts'
import { badConfig, defaultsOf, tomlTrouble } from './settings.ts'
import type { Defaults } from './target.ts'
import { lineNumberOf } from './toml-text.ts'

export const PROJECT_FILE = 'dw.toml'
/** Guess: far more than a few settings; a file beyond is none of ours. */
const PROJECT_BYTES_MAX = 1024 * 1024
/** Guess: deeper than anybody works. */
const FOLDERS_MAX = 64

export type Project = Defaults & {
  path: string
  server: string | null
  /** `path:line` of a field. */
  whereOf(field: string): string
}

/**
 * The nearest one from the folder upwards: to the root of the repository, else to the home folder; outside of both only in the folder itself.
 * @returns null without one, or where it belongs to another user
 * @throws CliError for one that cannot be read, or that holds a key
 */
export function readProject(folder: string, env: NodeJS.ProcessEnv): Project | null {
  const path = searched(resolve(folder), env.HOME ?? homedir())
    .map((one) => join(one, PROJECT_FILE))
    .find((one) => existsSync(one))
  return path === undefined || !isTrusted(path) ? null : readFile(path)
}

/** The folders that are looked into, the nearest first. */
function searched(folder: string, home: string): string[] {
  const above: string[] = []
  for (let next = folder; above.length < FOLDERS_MAX; next = dirname(next)) {
    above.push(next)
    if (existsSync(join(next, '.git'))) return above
    if (dirname(next) === next) break
  }
  const fromHome = relative(home, folder)
  const isBelowHome = fromHome === '' || !(fromHome.startsWith('..') || resolve(fromHome) === fromHome)
  return isBelowHome ? above.slice(0, fromHome === '' ? 1 : fromHome.split(sep).length + 1) : [folder]
}

/** In a folder that others may write to, anybody could leave one and so receive what is uploaded. */
function isTrusted(path: string): boolean {
  const own = process.getuid?.()
  const { uid } = statSync(path)
  return own === undefined || own === 0 || uid === own || uid === 0
}

function readFile(path: string): Project {
  if (statSync(path).size > PROJECT_BYTES_MAX)
    throw badConfig(path, `it has more than ${PROJECT_BYTES_MAX} bytes`)
  const text = readFileSync(path, 'utf8')
  const content = parsed(path, text)
  const whereOf = (field: string): string => placeOf(path, text, [field])
  const secret = secretOf(content, [])
  if (secret !== null) {
    throw new CliError(
      'key_in_project',
      `${placeOf(path, text, secret)}: '${secret.join('.')}' is a secret, and a project file is shared.`,
      {
        exit: 'usage',
        hint: 'Take it out and revoke it if others have seen it; store a key with `dw login URL`, or set DW_API_KEY.',
      },
    )
  }
  const { server } = content
  if (server !== undefined && typeof server !== 'string')
    throw badConfig(path, 'server takes an address in quotes')
  return { path, server: server ?? null, ...defaultsOf(content, path), whereOf }
}

function parsed(path: string, text: string): TomlTable {
  try {
    return parse(text)
  } catch (thrown) {
    throw badConfig(path, tomlTrouble(thrown))
  }
}

/** `path:line`, or the path alone where lines do not tell. */
export function placeOf(path: string, text: string, field: readonly string[]): string {
  const lineNumber = lineNumberOf(text, field)
  return lineNumber === null ? path : `${path}:${lineNumber}`
}

const SECRET_NAME = /(^|_)(key|apikey|token|secret|password)$/i

/** Where a text stands that only its owner should know. A name such as `key_file` only tells where one is. */
function secretOf(table: TomlTable, path: readonly string[]): readonly string[] | null {
  for (const [name, value] of Object.entries(table)) {
    const here = [...path, name]
    if (typeof value === 'string' && SECRET_NAME.test(name.replaceAll('-', '_'))) return here
    const tables: readonly unknown[] = Array.isArray(value) ? value : [value]
    for (const one of tables) {
      if (typeof one !== 'object' || one === null || one instanceof Date) continue
      // What the parser makes of a table has string keys and TOML values.
      const found = secretOf(one as TomlTable, here)
      if (found !== null) return found
    }
  }
  return null
}
