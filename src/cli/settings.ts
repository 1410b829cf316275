/** What a profile, a project file or the environment may set beside the server. Pure. */
import { TomlError, type TomlTable } from 'smol-toml'
import { windowMs } from '../domain/window.ts'
import { messageOf } from '../lib/errors.ts'
import { CliError, usageError } from './cli-error.ts'
import { nearest } from './suggest.ts'
import { parseAllowance } from './summary-outcome.ts'
import type { Defaults } from './target.ts'

type SettingFacts = {
  /** In `Defaults`, and as the name of a command's option. */
  field: keyof Defaults
  variable: string
  says: string
  isValue: (text: string) => boolean
}

export const settings = {
  completion_window: {
    field: 'completionWindow',
    variable: 'DW_COMPLETION_WINDOW',
    says: 'a duration such as 24h or 1h',
    isValue: (text) => windowMs(text) !== null,
  },
  model: {
    field: 'model',
    variable: 'DW_MODEL',
    says: 'the name of a model',
    isValue: (text) => text.trim() !== '',
  },
  allow_failures: {
    field: 'allowFailures',
    variable: 'DW_ALLOW_FAILURES',
    says: 'a number such as 10, or a part such as 5%',
    isValue: (text) => parseAllowance(text) !== null,
  },
} as const satisfies Record<string, SettingFacts>

export type SettingName = keyof typeof settings

// The keys of a constant are its names.
export const settingNames = Object.keys(settings) as SettingName[]

export const noDefaults: Defaults = { completionWindow: null, model: null, allowFailures: null }

/** @throws CliError with the nearest name */
export function requireSettingName(name: string): SettingName {
  const plain = name.replaceAll('-', '_')
  const known = settingNames.find((one) => one === plain)
  if (known !== undefined) return known
  const near = nearest(name, settingNames)
  throw usageError(
    `There is no setting '${name}'.`,
    near === null ? `There are: ${settingNames.join(', ')}.` : `Did you mean ${near}?`,
  )
}

/** @param where names the place of a wrong value, such as `dw.toml:3`; @throws CliError */
export function requireSetting(name: SettingName, value: string, where: string): string {
  const { isValue, says } = settings[name]
  if (isValue(value)) return value
  throw usageError(`${where}: ${name} '${value}' is none.`, `It takes ${says}.`)
}

/** @param path of the file, for what is wrong in it; @throws CliError */
export function defaultsOf(table: TomlTable, path: string): Defaults {
  const read = (name: SettingName): string | null => {
    const value = table[name]
    if (value === undefined) return null
    return requireSetting(name, typeof value === 'number' ? String(value) : textOf(value), path)
  }
  return {
    completionWindow: read('completion_window'),
    model: read('model'),
    allowFailures: read('allow_failures'),
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** The parser's own message shows the line, and a line may hold a key. */
export function tomlTrouble(thrown: unknown): string {
  if (!(thrown instanceof TomlError)) return messageOf(thrown)
  const what = thrown.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '')
  return `line ${thrown.line}: ${what}`
}

export function badConfig(path: string, what: string): CliError {
  return new CliError('bad_config', `${path} cannot be read: ${what}`, {
    exit: 'usage',
    hint: 'Mend or remove the file; it was not changed.',
  })
}
