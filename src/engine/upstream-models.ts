/** Asks an engine which models it serves; also the probe of a paused one, since it costs nothing. */
import { SIMULATED_PREFIX } from '../domain/price.ts'
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { CallHeaders, Connections } from './upstream-connection.ts'

/** unauthorized: it wants another key. page: a web server answers. no_list: something answers, but not with models. */
export type ModelsFault = 'unreachable' | 'unauthorized' | 'page' | 'no_list'

export type FoundModels = { models: string[] } | { fault: ModelsFault; reason: string }

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
      if ('failure' in end) resolve({ fault: 'unreachable', reason: `${end.message} (${url})` })
      else resolve(readModels(end.answer.status, end.answer.body, url))
    })
    const cancelTimeout = options.clock.after(PROBE_MS_MAX, () =>
      call.cut('stall', `no answer within ${PROBE_MS_MAX} ms`),
    )
  })
}

function readModels(status: number, body: Buffer, url: string): FoundModels {
  const fault = faultOf(status, body)
  if (status !== 200) return { fault, reason: `${status} from ${url}/models` }
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    if (typeof parsed === 'object' && parsed !== null && 'data' in parsed && Array.isArray(parsed.data)) {
      const ids = parsed.data.map((model: { id?: unknown } | null) => model?.id)
      return { models: ids.filter((id): id is string => typeof id === 'string') }
    }
    return { fault, reason: `${url}/models did not answer with a list of models` }
  } catch (thrown) {
    const what = fault === 'page' ? 'an HTML page' : `no JSON (${messageOf(thrown)})`
    return { fault, reason: `${url}/models answered with ${what}` }
  }
}

function faultOf(status: number, body: Buffer): ModelsFault {
  if (status === 401 || status === 403) return 'unauthorized'
  return body.subarray(0, 200).toString('latin1').trimStart().startsWith('<') ? 'page' : 'no_list'
}

/** The simulated model takes its knobs behind its name (`sim/chat?ttft=50`); it lists the name alone. */
export function listedName(model: string): string {
  return model.startsWith(SIMULATED_PREFIX) ? (model.split('?')[0] ?? model) : model
}
