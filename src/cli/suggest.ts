/** The nearest of known words to a mistyped one. What is found is only ever told, never taken. Pure. */
import type { CommandSpec, Option } from './command.ts'
import { flagsOf, globalOptions } from './global-options.ts'

/** Guess: a word is recognised with a third of its letters wrong; more would be a guess at another word. */
const PART_WRONG_MAX = 0.34
/** Guess: nobody types longer words, and the comparison costs the square of their length. */
const CHARACTERS_MAX = 80

/**
 * @param options.lettersWrongMax at most so many, where a part of the word would be too many
 * @returns the nearest candidate, the earlier of equals; null when none is near
 */
export function nearest(
  word: string,
  candidates: Iterable<string>,
  options: { lettersWrongMax?: number } = {},
): string | null {
  let best: { candidate: string; distance: number } | null = null
  const typed = plain(word)
  for (const candidate of candidates) {
    const known = plain(candidate)
    const distance = typed === known ? 0 : editDistance(typed, known)
    const isNear =
      distance <= (options.lettersWrongMax ?? wrongMax(Math.max(typed.length, known.length))) ||
      isBegun(typed, known)
    if (isNear && (best === null || distance < best.distance)) best = { candidate, distance }
  }
  return best?.candidate ?? null
}

/** A word that is written to its half says which one is meant. */
function isBegun(typed: string, known: string): boolean {
  return typed.length >= 3 && known.startsWith(typed)
}

function wrongMax(length: number): number {
  return Math.max(1, Math.floor(length * PART_WRONG_MAX))
}

function plain(word: string): string {
  return word
    .toLowerCase()
    .replaceAll(/[\s_:.]+/g, '-')
    .slice(0, CHARACTERS_MAX)
}

/** Letters to insert, remove, replace or swap with their neighbour until the words are equal (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const next = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1
      let least = Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + cost,
      )
      const isSwapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (isSwapped) least = Math.min(least, (before[column - 2] ?? 0) + 1)
      next.push(least)
    }
    before = last
    last = next
  }
  return last[b.length] ?? 0
}

/** What other tools call ours: not near in letters, yet plain in meaning. */
const otherNames: Readonly<Record<string, string>> = {
  abort: 'cancel',
  add: 'create',
  auth: 'login',
  chat: 'realtime',
  ask: 'realtime',
  check: 'validate',
  describe: 'get',
  download: 'results',
  fetch: 'results',
  info: 'get',
  kill: 'cancel',
  ls: 'list',
  new: 'create',
  output: 'results',
  ps: 'list',
  put: 'upload',
  rm: 'delete',
  server: 'serve',
  show: 'get',
  signin: 'login',
  start: 'serve',
  status: 'get',
  stop: 'cancel',
  submit: 'run',
  upstreams: 'upstream',
  batch: 'batches',
  file: 'files',
  model: 'models',
  key: 'keys',
}

/** Guess: what follows are arguments. */
const WORDS_MAX = 4

/**
 * The command that mistyped words mean, in whatever group it stands: `run-batch`, `batchs list`, `list batches`, `files ls`.
 * @param words as typed, from the first word of the command on
 * @returns the words of a command or of a group of commands
 */
export function nearestCommand(words: readonly string[], specs: readonly CommandSpec[]): string | null {
  const paths = specs.map(({ path }) => path)
  const groups = [...new Set(paths.filter((path) => path.length > 1).map(([group = '']) => group))]
  const typed = words.filter((word) => !word.startsWith('-')).flatMap((word) => plain(word).split('-'))
  let best: { path: readonly string[]; score: number } | null = null
  const all = [
    ...paths.map((path) => ({ path, isGroup: false })),
    ...groups.map((group) => ({ path: [group], isGroup: true })),
  ]
  for (const { path, isGroup } of all) {
    const score = scoreOf(typed.slice(0, WORDS_MAX), path, isGroup)
    if (score !== null && (best === null || score < best.score)) best = { path, score }
  }
  return best === null ? null : best.path.join(' ')
}

/** Lower is nearer; null is not near. Whole words in another order, or in another group, cost less than wrong letters. */
function scoreOf(typed: readonly string[], path: readonly string[], isGroup: boolean): number | null {
  const wanted = path.flatMap((word) => word.split('-'))
  // A group alone is no command: it is named where none of its commands fits.
  const more = isGroup ? 1 : 0
  const forms: { words: readonly string[]; cost: number }[] = [
    { words: wanted, cost: 0 },
    { words: wanted.toReversed(), cost: 0.5 },
    // Its own word without that of its group.
    ...(path.length > 1 ? [{ words: (path.at(-1) ?? '').split('-'), cost: 0.8 }] : []),
  ]
  const scores = forms.flatMap(({ words, cost }) => {
    const score = wordsScore(typed, words)
    return score === null ? [] : [score + cost + more]
  })
  return scores.length === 0 ? null : Math.min(...scores)
}

function wordsScore(typed: readonly string[], wanted: readonly string[]): number | null {
  if (typed.length < wanted.length) return null
  let sum = 0
  for (const [place, word] of wanted.entries()) {
    const given = typed[place] ?? ''
    const distance = wordDistance(given, word)
    if (distance === null) return null
    sum += distance
  }
  // Of two commands that fit as well, the one that accounts for more of what was typed.
  return sum - wanted.length * 0.9
}

function wordDistance(given: string, word: string): number | null {
  if (given === word) return 0
  if (otherNames[given] === word || `${given}s` === word || `${given}es` === word) return 0.3
  const distance = editDistance(given, word)
  return distance <= wrongMax(Math.max(given.length, word.length)) || isBegun(given, word) ? distance : null
}

/** `--completion-window` for `--completion-windw`; also among the options of every command. */
export function nearestFlag(typed: string, options: readonly Option[]): string | null {
  const [flag = ''] = typed.split('=')
  const known = [...options, ...globalOptions].flatMap(flagsOf).filter((name) => name.startsWith('--'))
  return nearest(flag, known)
}
