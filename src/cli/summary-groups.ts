/** Failures gathered by kind, most frequent first, in bounded memory. What makes them of one kind is decided in domain/failure.ts. */
import {
  FAILURE_MESSAGE_CHARACTERS_MAX,
  type Failure,
  failureOf,
  groupIdOf,
  groupKeyOf,
} from '../domain/failure.ts'
import { oneLine } from './format.ts'

export { failureOf }

/** Where a failure stands. */
export type FailurePlace = {
  /** From 1, in the file that was read. */
  lineNumber: number
  customId: string | null
}

export type FailureGroup = {
  /** Names it in `--group`; the same in every run. */
  id: string
  status: number | null
  /** As the engine or the server named it; null where it did not. */
  code: string | null
  /** The first message of the group, as it came. */
  example: string
  count: number
  /** The first of the group, where places were given. */
  first: FailurePlace | null
}

export type FailureGroups = {
  add(failure: Failure, place?: FailurePlace): void
  /** Most frequent first, then as they came. */
  list(): FailureGroup[]
  /** Failures added, those of groups beyond the limit too. */
  total: number
}

/** Guess: a person reads a handful; the rest is bounded so that a file of unlike messages costs no memory. */
const GROUPS_MAX = 500

export function createFailureGroups(): FailureGroups {
  const groups = new Map<string, Omit<FailureGroup, 'id'>>()
  return {
    total: 0,
    add(failure, place) {
      this.total += 1
      const key = groupKeyOf(failure)
      const known = groups.get(key)
      if (known !== undefined) known.count += 1
      else if (groups.size < GROUPS_MAX) {
        const { status, code, message } = failure
        const example = oneLine(message.slice(0, FAILURE_MESSAGE_CHARACTERS_MAX))
        groups.set(key, { status, code, example, count: 1, first: place ?? null })
      }
    },
    list: () =>
      [...groups]
        .map(([key, group]) => ({ id: groupIdOf(key), ...group }))
        .toSorted((a, b) => b.count - a.count),
  }
}

/** What a failure is called: `400 content_filter`, `502`, `batch_expired`. */
export function kindWords({ status, code }: Pick<Failure, 'status' | 'code'>): string {
  const words = [status, code].filter((word) => word !== null)
  return words.length === 0 ? 'error' : words.join(' ')
}
