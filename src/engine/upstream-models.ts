/** Asks an engine which models it serves; also the probe of a paused one, since it costs nothing. */
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { CallHeaders, Connections } from './upstream-connection.ts'

export type FoundModels = { models: string[] } | { reason: string }

/** Guess: a list of models is a small answer. */
const PROBE_MS_MAX = 10_000

export function fetchModels(
  connections: Connections,
  options: { url: string; headers: CallHeaders; clock: Clock },
): Promise<FoundModels> {
  const { url } = options
  return new Promise((resolve) => {
    const headers: CallHeaders = { accept: 'application/json', ...options.headers }
    const path = `${new URL(url).pathname.replace(/\/+$/, '')}/models`
    const call = connections.call({ method: 'GET', path, headers, body: null }, (end) => {
      cancelTimeout()
      if ('failure' in end) resolve({ reason: `${end.message} (${url})` })
      else resolve(readModels(end.answer.status, end.answer.body, url))
    })
    const cancelTimeout = options.clock.after(PROBE_MS_MAX, () =>
      call.cut('stall', `no answer within ${PROBE_MS_MAX} ms`),
    )
  })
}

function readModels(status: number, body: Buffer, url: string): FoundModels {
  if (status !== 200) return { reason: `${status} from ${url}/models` }
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    if (typeof parsed === 'object' && parsed !== null && 'data' in parsed && Array.isArray(parsed.data)) {
      const ids = parsed.data.map((model: { id?: unknown } | null) => model?.id)
      return { models: ids.filter((id): id is string => typeof id === 'string') }
    }
    return { reason: `${url}/models did not answer with a list of models` }
  } catch (thrown) {
    const isHtml = body.subarray(0, 200).toString('latin1').trimStart().startsWith('<')
    return {
      reason: `${url}/models answered with ${isHtml ? 'an HTML page' : `no JSON (${messageOf(thrown)})`}`,
    }
  }
}
