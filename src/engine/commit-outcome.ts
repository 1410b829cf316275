/** Creating a row when the commit's outcome can be lost: the row is asked for before anyone is told that it failed (DESIGN §4, promise 1). */
import { OUTCOME_LOOKUP_MS, OUTCOME_LOOKUPS_MAX } from '../domain/limits.ts'
import type { Clock } from '../lib/clock.ts'
import { TroubleError } from '../lib/errors.ts'

/** Nobody could say whether the row exists. It must not be answered as a failure: the row may take effect. */
export class OutcomeUnknownError extends TroubleError {
  constructor(what: string, cause: unknown) {
    super('unreachable', `whether ${what} was stored could not be found out`, { cause })
    this.name = 'OutcomeUnknownError'
  }
}

/**
 * @param create the commit. find: the row by its own id, null when it is not there.
 * @throws what `create` threw when there is certainly no row; OutcomeUnknownError when that could not be found out
 */
export async function createOrFind<T>(
  what: string,
  how: { create: () => Promise<T>; find: () => Promise<T | null>; clock: Clock },
): Promise<T> {
  try {
    return await how.create()
  } catch (thrown) {
    if (!(thrown instanceof TroubleError)) throw thrown
    const found = await findAgain(what, how)
    if (found === null) throw thrown
    return found
  }
}

async function findAgain<T>(
  what: string,
  how: { find: () => Promise<T | null>; clock: Clock },
): Promise<T | null> {
  for (let lookup = 1; ; lookup += 1) {
    try {
      return await how.find()
    } catch (thrown) {
      if (!(thrown instanceof TroubleError)) throw thrown
      if (lookup >= OUTCOME_LOOKUPS_MAX) throw new OutcomeUnknownError(what, thrown)
    }
    await new Promise<void>((resolve) => how.clock.after(OUTCOME_LOOKUP_MS, resolve))
  }
}
