/** Finds the form of an address under which a server answers. Nothing but that very host is asked. */
import { type Client, createClient } from '../client/client.ts'
import { ApiError } from '../client/errors.ts'
import type { WireCaller } from '../contract/wire.ts'
import { CliError } from './cli-error.ts'

export type ProbedServer = {
  /** The form that works; `isExact`: without a version at its end. */
  url: string
  isExact: boolean
  models: number
  /** Whose key it is, where the server tells. */
  caller: WireCaller | null
}

type Asked = { key: string | null; signal: AbortSignal }

/** @throws ApiError where the key does not hold, UnreachableError, CliError `no_api` */
export async function probeServer(given: string, asked: Asked): Promise<ProbedServer> {
  const found = []
  for (const form of formsOf(given)) {
    const probed = await probe(form, asked)
    if (typeof probed !== 'string') return probed
    found.push(`${form.url}/models: ${probed}`)
  }
  throw new CliError('no_api', `No OpenAI-compatible API answers at ${given}. ${found.join('. ')}.`, {
    exit: 'unreachable',
    hint: 'Give the base URL that the service names for OpenAI clients, such as https://host/v1. Nothing was stored.',
  })
}

type Form = { url: string; isExact: boolean }

function formsOf(given: string): Form[] {
  const url = given.replace(/\/+$/, '')
  if (/\/v\d+[a-z0-9]*$/.test(url)) return [{ url, isExact: false }]
  return [
    { url: `${url}/v1`, isExact: false },
    { url, isExact: true },
  ]
}

/** @returns what stands there instead of an API */
async function probe({ url, isExact }: Form, { key, signal }: Asked): Promise<ProbedServer | string> {
  const client = createClient({ baseUrl: url, isBaseUrlExact: isExact, apiKey: key, userAgent: 'dw' })
  try {
    const models: unknown = await client.models.list(signal)
    if (!Array.isArray(models)) return 'no list of models'
    return { url, isExact, models: models.length, caller: await callerOf(client, signal) }
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return 'no JSON'
    if (thrown instanceof ApiError && (thrown.status === 404 || thrown.status === 405))
      return `status ${thrown.status}`
    throw thrown
  }
}

/** Whose key the client has; null where the server does not tell: a foreign one, or one of ours older than the route. */
export async function callerOf(client: Client, signal: AbortSignal): Promise<WireCaller | null> {
  if (!(await client.isDw())) return null
  try {
    return await client.whoami(signal)
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.status === 404) return null
    throw thrown
  }
}
