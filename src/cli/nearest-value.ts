/** After a server has said that there is no such object: the one that was meant, where there is one that is almost called so. */
import { ApiError } from '../client/errors.ts'
import { NearestError } from './cli-error.ts'
import type { CommandContext, ValueKind } from './command.ts'
import { knownValues } from './known-values.ts'
import type { Chosen } from './parser.ts'
import { nearest } from './suggest.ts'

/** Guess: an error may take so much longer if it then says what was meant. */
const SEARCH_MS_MAX = 1_000
/** Ids are long and alike at random: two wrong letters are a slip, more are another id. */
const ID_LETTERS_WRONG_MAX = 2

const ids: ReadonlySet<ValueKind> = new Set(['batch', 'file', 'key'])

/** @returns what was thrown, with the nearest of what there is where one is near */
export async function withNearest(
  thrown: unknown,
  { spec, input, context }: Pick<Chosen, 'spec' | 'input'> & { context: CommandContext },
): Promise<unknown> {
  if (!(thrown instanceof ApiError) || thrown.status !== 404) return thrown
  for (const [place, value] of input.arguments.entries()) {
    const { kind } = spec.arguments[place] ?? spec.arguments.at(-1) ?? {}
    if (kind === undefined) continue
    const known = (await knownValues(kind, context, { withinMs: SEARCH_MS_MAX })).map((one) => one.value)
    const near = nearest(value, known, ids.has(kind) ? { lettersWrongMax: ID_LETTERS_WRONG_MAX } : {})
    if (near !== null && near !== value) return new NearestError(thrown, near)
  }
  return thrown
}
