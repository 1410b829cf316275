/**
 * Completion in bash, zsh, fish and PowerShell. A script that the shell loads asks `dw complete -- WORDS…` at every press of the key; the
 * library knows the shells and how they ask, we know the values. Whatever fails, fails silently and in time: a shell that waits is worse
 * than one that offers nothing.
 */
import { assert } from '../lib/errors.ts'
import type { CommandSpec, Option, ValueKind } from './command.ts'
import { commands } from './commands.ts'
import { flagsOf, globalOptions, takesValue } from './global-options.ts'
import { type KnownValue, knownValues, quietContext } from './known-values.ts'
import { buildProgram } from './parser.ts'

/** Required by the reference: longer, and the shell seems to hang. */
const DYNAMIC_MS_MAX = 300
/** The shell offers files beside what is printed. */
const OFFER_FILES = ':0'
/** What shells take apart or run does not come from a server into a command line. */
const HARMLESS = /^[\w.:@/+=,%~-]+$/

type Shell = 'bash' | 'zsh' | 'fish' | 'powershell'

/** Places where the library's script is not enough, each with the text that is there instead. */
const corrections: readonly { shell: Shell; from: string | RegExp; to: string }[] = [
  // A script may be loaded twice.
  { shell: 'bash', from: /^readonly (?=ShellComp)/gm, to: '' },
  // The words are passed on as they are: evaluated, `$(…)` among them would run at the press of the key.
  {
    shell: 'bash',
    from: `requestComp="dw complete -- \${words[@]:1}"`,
    to: `requestComp=(dw complete -- "\${words[@]:1}")`,
  },
  {
    shell: 'bash',
    from: `requestComp="$requestComp ''"`,
    to: `[[ \${#words[@]} -gt cword ]] || requestComp+=("")`,
  },
  {
    shell: 'bash',
    from: `out=$(eval "$requestComp" 2>/dev/null)`,
    to: `out=$("\${requestComp[@]}" 2>/dev/null)`,
  },
  // Where nothing is offered and nothing is forbidden, bash offers files.
  { shell: 'bash', from: 'complete -F __dw_complete dw', to: 'complete -o default -F __dw_complete dw' },
]

/** Bash alone has no such function; it comes with a package that few minimal systems have. */
const bashFallback = `if ! declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref() {
        cur=\${COMP_WORDS[COMP_CWORD]}
        prev=\${COMP_WORDS[COMP_CWORD-1]}
        words=("\${COMP_WORDS[@]:0:COMP_CWORD+1}")
        cword=$COMP_CWORD
    }
fi
`

/** @returns the script that a shell loads */
export async function completionScript(shell: string): Promise<string> {
  const { script } = await import('@bomb.sh/tab')
  const printed = collected(() => script(shell, 'dw', 'dw')).join('\n')
  const mended = corrections
    .filter((correction) => correction.shell === shell)
    .reduce((text, { from, to }) => {
      const next = text.replace(from, () => to)
      assert(next !== text, `the completion script of ${shell} holds ${from}`)
      return next
    }, printed)
  return shell === 'bash' ? bashFallback + mended : mended
}

/**
 * Answers one press of the key.
 * @param words `--`, then the words after `dw`; the last is the one being written, empty where a new one begins
 * @returns the exit code
 */
export async function complete(words: readonly string[]): Promise<number> {
  const typed = words[0] === '--' ? words.slice(1) : [...words]
  try {
    process.stdout.write(`${(await completionsOf(typed)).join('\n')}\n`)
  } catch {
    // The shell shows whatever is printed as an offer: nothing is better than an error there.
  }
  // A server that does not answer would keep the process, and with it the shell.
  await new Promise((resolve) => process.stdout.write('', resolve))
  process.exit(0)
}

async function completionsOf(typed: readonly string[]): Promise<string[]> {
  const asked = askedFor(typed)
  const values = asked.kind === null ? [] : await offered(asked.kind, typed)
  const { default: addTo } = await import('@bomb.sh/tab/commander')
  const tree = addTo(buildProgram(() => undefined))
  tree.commands.delete('complete')
  for (const spec of commands) {
    const command = tree.commands.get(spec.path.join(' '))
    if (command === undefined) continue
    const offer = (complete: (value: string, says: string) => void): void => {
      for (const { value, says } of values) complete(value, says)
    }
    for (const { name, choices, isVariadic } of spec.arguments)
      command.argument(
        name,
        choices === undefined ? offer : (add) => choices.forEach((one) => void add(one, '')),
        isVariadic,
      )
    for (const option of [...spec.options, ...globalOptions]) {
      const [long, short] = namesOf(option)
      const { choices } = option
      const add = (say: (value: string, says: string) => void): void =>
        choices === undefined ? offer(say) : choices.forEach((one) => void say(one, ''))
      if (takesValue(option)) command.option(long, option.help, add, short)
      else command.option(long, option.help, short)
    }
  }
  const lines = collected(() => tree.parse([...typed]))
  // The library forbids files everywhere.
  return asked.isFile ? [...lines.slice(0, -1), OFFER_FILES] : lines
}

/** `['completion-window', 'w']`. */
function namesOf(option: Option): [string, string] | [string] {
  const flags = flagsOf(option).toSorted((a, b) => b.length - a.length)
  const [long = '', short] = flags.map((flag) => flag.replace(/^-+/, ''))
  return short === undefined || short.length > 1 ? [long] : [long, short]
}

/** What the last word is: a value of a kind, or a file. */
type Asked = { kind: ValueKind | null; isFile: boolean }

const nothing: Asked = { kind: null, isFile: false }

function askedFor(typed: readonly string[]): Asked {
  const current = typed.at(-1) ?? ''
  const { operands, waiting, options } = walk(typed.slice(0, -1))
  if (waiting !== null) return askedByOption(waiting)
  const [, joined] = /^(--[^=]+)=/.exec(current) ?? []
  if (joined !== undefined) {
    const option = options.find((one) => flagsOf(one).includes(joined))
    return option === undefined ? nothing : askedByOption(option)
  }
  if (current.startsWith('-')) return nothing
  const spec = specOf(operands)
  if (spec === null) return nothing
  const place = operands.length - spec.path.length
  const argument = spec.arguments[place] ?? spec.arguments.findLast(({ isVariadic }) => isVariadic === true)
  if (argument === undefined) return nothing
  return argument.kind === 'path'
    ? { kind: null, isFile: true }
    : { kind: argument.kind ?? null, isFile: false }
}

function askedByOption(option: Option): Asked {
  if (option.kind !== undefined && option.kind !== 'path') return { kind: option.kind, isFile: false }
  return { kind: null, isFile: option.kind === 'path' || /<(file|folder|dir|path)>/.test(option.flags) }
}

/** Takes the words apart as the parser would. `waiting`: the option whose value comes next. */
function walk(words: readonly string[]): {
  operands: string[]
  waiting: Option | null
  options: readonly Option[]
} {
  const operands: string[] = []
  let waiting: Option | null = null
  let options: readonly Option[] = globalOptions
  for (const word of words) {
    if (waiting !== null) waiting = null
    else if (word.startsWith('-')) {
      const option = options.find((one) => flagsOf(one).includes(word))
      if (option !== undefined && takesValue(option)) waiting = option
    } else {
      operands.push(word)
      options = [...(specOf(operands)?.options ?? []), ...globalOptions]
    }
  }
  return { operands, waiting, options }
}

function specOf(operands: readonly string[]): CommandSpec | null {
  const fitting = commands.filter(({ path }) => path.every((word, place) => operands[place] === word))
  return fitting.toSorted((a, b) => b.path.length - a.path.length)[0] ?? null
}

async function offered(kind: ValueKind, typed: readonly string[]): Promise<KnownValue[]> {
  const named = { server: globalValue(typed, '--server'), profile: globalValue(typed, '--profile') }
  const values = await knownValues(kind, quietContext(named), { withinMs: DYNAMIC_MS_MAX })
  return values
    .filter(({ value }) => HARMLESS.test(value))
    .map(({ value, says }) => ({ value, says: says.replaceAll(/[\p{Cc}:]/gu, ' ') }))
}

function globalValue(typed: readonly string[], flag: string): string | null {
  const place = typed.indexOf(flag)
  if (place >= 0 && place < typed.length - 2) return typed[place + 1] ?? null
  return typed.find((word) => word.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? null
}

/** The library prints; what it prints is needed as text. */
function collected(act: () => void): string[] {
  const lines: string[] = []
  const { log } = console
  console.log = (line: unknown) => void lines.push(String(line))
  try {
    act()
  } finally {
    console.log = log
  }
  return lines
}
