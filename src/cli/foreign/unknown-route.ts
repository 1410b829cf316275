/**
 * Our own routes exist on our own server, and some of them elsewhere. Each is asked for once; a server that shows that it has no such
 * address is not asked again by this command, and the same thing is done here from OpenAI's routes.
 */
import { ApiError } from '../../client/client.ts'

/** Not every server answers 404 to an address that it does not have. */
const NO_SUCH_METHOD: ReadonlySet<number> = new Set([405, 501])

/**
 * Whether the server knows no such address, as opposed to no such object. Services differ in the words: what shows the difference is
 * whether the refusal is about the id. When in doubt the address counts as unknown: the fallback looks the object up itself.
 * @param id of the object in the address that was asked for
 */
export function isUnknownRoute(thrown: unknown, id: string): boolean {
  if (!(thrown instanceof ApiError)) return false
  if (NO_SUCH_METHOD.has(thrown.status)) return true
  if (thrown.status !== 404 || thrown.param !== null) return false
  // Within the address, as in "Invalid URL (POST /v1/batches/ID/retry)", the id is not what the refusal is about.
  const withoutAddresses = thrown.message.replaceAll(/\/[^\s'")]*/g, '')
  return !withoutAddresses.includes(id)
}

export type Fallback = {
  /** @param ask a route of ours. @param here does the same without it; it finds out itself whether there is such an object */
  either<T>(id: string, ask: () => Promise<T>, here: () => Promise<T>): Promise<T>
}

/** To be made once per route and command. */
export function createFallback(onMissing: () => void): Fallback {
  let isMissing = false
  return {
    async either(id, ask, here) {
      if (isMissing) return here()
      try {
        return await ask()
      } catch (thrown) {
        if (!isUnknownRoute(thrown, id)) throw thrown
        isMissing = true
        onMissing()
        return here()
      }
    },
  }
}
