import { ApiError, type Client } from '../../client/client.ts'
import type { WireModel } from '../../contract/wire.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { nearest } from '../suggest.ts'
import type { RunInput } from './run-input.ts'
import type { RunSettings } from './run-options.ts'

/** Guess: names that a person reads in one message. */
const NAMES_SHOWN_MAX = 5

/**
 * Before anything is sent: does the server have the models of these requests? Our own server would fail the batch for one that it does
 * not have; another service may serve more than it lists, so that it is only warned of.
 * @throws CliError `model_not_found`
 */
export async function requireModels(
  { output, signal }: CommandContext,
  run: { client: Client; input: RunInput; settings: RunSettings },
): Promise<void> {
  const { client, input, settings } = run
  const listed = new Set((await listOf(client, signal)).map(({ id }) => id))
  // An empty list says that no engine was reached yet, or that the service keeps none.
  if (listed.size === 0) return
  const asked = settings.model === null ? input.models.map(({ model }) => model) : [settings.model]
  const unknown = asked.filter((model) => !listed.has(model))
  const [first] = unknown
  if (first === undefined) return
  const names = unknown.slice(0, NAMES_SHOWN_MAX).map((model) => `'${model}'`)
  const more = unknown.length > names.length ? ` and ${unknown.length - names.length} more` : ''
  const words = `${client.baseUrl} does not list ${names.join(', ')}${more}`
  if (!(await client.isDw())) return output.warn(`${words}. It may serve them all the same.`)
  const near = nearest(first, listed)
  throw new CliError('model_not_found', `${words}. Nothing was submitted.`, {
    exit: 'invalidInput',
    hint: near === null ? 'dw models list' : `Did you mean: ${near}`,
  })
}

async function listOf(client: Client, signal: AbortSignal): Promise<readonly WireModel[]> {
  try {
    return await client.models.list(signal)
  } catch (thrown) {
    // Not every service has the route.
    if (thrown instanceof ApiError && thrown.status === 404) return []
    throw thrown
  }
}
