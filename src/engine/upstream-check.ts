/**
 * Tries an engine before it is kept: finds its base URL, its models, and whether it answers a call of one token. Each way to fail has a
 * code of its own, so that whoever adds it is told what to do.
 */
import { CONNECT_MS_MAX, MODEL_TEST_MS_MAX } from '../domain/limits.ts'
import { judge } from '../domain/retry.ts'
import type { Clock } from '../lib/clock.ts'
import { RefusedError } from '../lib/errors.ts'
import { inspectAnswer } from './answer.ts'
import { type CallEnd, type CallHeaders, type Connections, openConnections } from './upstream-connection.ts'
import { type FoundModels, fetchModels, listedName, type ModelsFault } from './upstream-models.ts'

type Parts = { clock: Clock; answerBytesMax: number }
type Engine = { url: string; key: string | null; connections: Connections; clock: Clock }

/** Guess: so many models of a long list are tried until one answers; some of a provider's are no chat models. */
const CANDIDATES_MAX = 3

/**
 * @param request.url as a person wrote it: with or without `/v1`, or that of a route
 * @returns the base URL that works
 * @throws RefusedError 422 `upstream_unreachable`, `upstream_unauthorized`, `upstream_web_page`, `upstream_no_api`, `upstream_no_models`,
 * `upstream_model_missing`, `upstream_test_failed`
 */
export async function checkUpstream(
  request: { url: string; key: string | null; models: readonly string[] | null },
  { clock, answerBytesMax }: Parts,
): Promise<{ url: string }> {
  const { key, models: wanted } = request
  const connections = openConnections(new URL(request.url).origin, {
    connectMsMax: CONNECT_MS_MAX,
    answerBytesMax,
    monotonicMs: clock.monotonicMs,
  })
  try {
    const { url, models } = await findModels(candidateUrls(request.url), { key, connections, clock })
    const engine = { url, key, connections, clock }
    const missing = wanted?.find((name) => !models.includes(listedName(name)))
    if (missing !== undefined) {
      throw refusal(
        'upstream_model_missing',
        `${url} does not list the model '${missing}'. It lists ${shown(models)}.`,
      )
    }
    if (wanted === null) await requireOneAnswer(engine, models)
    else for (const model of wanted) await requireAnswer(engine, model)
    return { url }
  } finally {
    await connections.close()
  }
}

const ROUTE_END = /\/(?:chat\/completions|completions|embeddings|responses|models)$/
const VERSION_END = /\/v\d+[a-z0-9]*$/

/** Base URLs that may be meant, the likeliest first. Exported for its test. */
export function candidateUrls(text: string): string[] {
  const { origin, pathname } = new URL(text)
  const path = pathname.replace(/\/+$/, '').replace(ROUTE_END, '')
  if (path === '') return [`${origin}/v1`, origin]
  return VERSION_END.test(path) ? [origin + path] : [origin + path, `${origin}${path}/v1`]
}

/** Of several failures the one that comes nearest to an engine says most. */
const TELLING: readonly ModelsFault[] = ['unauthorized', 'no_list', 'page', 'unreachable']

async function findModels(
  urls: readonly string[],
  engine: Omit<Engine, 'url'>,
): Promise<{ url: string; models: string[] }> {
  const failed: Extract<FoundModels, { fault: ModelsFault }>[] = []
  let emptyUrl: string | null = null
  for (const url of urls) {
    const found = await fetchModels(engine.connections, {
      ...engine,
      url,
      headers: authorization(engine.key),
    })
    if ('fault' in found) failed.push(found)
    else if (found.models.length > 0) return { url, models: found.models }
    else emptyUrl ??= url
  }
  if (emptyUrl !== null) {
    throw refusal('upstream_no_models', `${emptyUrl} answers, and lists no models: load one there first.`)
  }
  const [telling] = failed.toSorted((a, b) => TELLING.indexOf(a.fault) - TELLING.indexOf(b.fault))
  throw faultRefusal(telling ?? { fault: 'unreachable', reason: urls.join(', ') }, engine.key)
}

function faultRefusal(
  { fault, reason }: { fault: ModelsFault; reason: string },
  key: string | null,
): RefusedError {
  const told = {
    unreachable: ['upstream_unreachable', `Nothing answers there: ${reason}.`],
    unauthorized: [
      'upstream_unauthorized',
      key === null ? `It demands a key: ${reason}.` : `It refuses this key: ${reason}.`,
    ],
    page: ['upstream_web_page', `A web server answers there, not an engine: ${reason}.`],
    no_list: ['upstream_no_api', `What answers there has no OpenAI-compatible list of models: ${reason}.`],
  } as const satisfies Record<ModelsFault, readonly [string, string]>
  const [code, message] = told[fault]
  return refusal(code, message)
}

async function requireOneAnswer(engine: Engine, models: readonly string[]): Promise<void> {
  // Those that are likely to chat come first; one of another kind still tells whether the engine answers.
  const candidates = models.toSorted((a, b) => Number(isOtherKind(a)) - Number(isOtherKind(b)))
  let failure: RefusedError | null = null
  for (const model of candidates.slice(0, CANDIDATES_MAX)) {
    const ended = await callOnce(engine, model)
    if (ended === null) return
    if (ended.code === 'upstream_unauthorized') throw ended
    failure ??= ended
  }
  if (failure !== null) throw failure
}

async function requireAnswer(engine: Engine, model: string): Promise<void> {
  const failure = await callOnce(engine, model)
  if (failure !== null) throw failure
}

const EMBEDS = /embed|bge-|gte-|e5-|minilm/i
const NO_CHAT =
  /rerank|whisper|tts|audio|speech|transcri|dall-e|image|moderation|guard|realtime|sora|veo|lyria/i

function isOtherKind(model: string): boolean {
  return EMBEDS.test(model) || NO_CHAT.test(model)
}

/** @returns null when it answered, or was only too busy to */
async function callOnce(engine: Engine, model: string): Promise<RefusedError | null> {
  if (EMBEDS.test(model))
    return verdictOf(await post(engine, '/embeddings', { model, input: 'Hi' }), engine, model)
  const messages = [{ role: 'user', content: 'Hi' }]
  const end = await post(engine, '/chat/completions', { model, messages, max_tokens: 1 })
  // Some models know the limit by its newer name alone.
  const isOtherName =
    'answer' in end && end.answer.status === 400 && end.answer.body.includes('max_completion_tokens')
  return isOtherName
    ? verdictOf(
        await post(engine, '/chat/completions', { model, messages, max_completion_tokens: 16 }),
        engine,
        model,
      )
    : verdictOf(end, engine, model)
}

function verdictOf(end: CallEnd, { url, key }: Engine, model: string): RefusedError | null {
  if ('failure' in end) {
    return refusal(
      'upstream_test_failed',
      `It lists models, but did not answer a call to '${model}': ${end.message}.`,
    )
  }
  const answer = inspectAnswer(end.answer, key)
  const verdict = judge({ kind: 'answered', ...answer })
  if (verdict === 'succeeded' || verdict === 'capacity') return null
  const reason = `${answer.status} from ${url}${answer.errorMessage === null ? '' : `: ${answer.errorMessage.slice(0, 200)}`}`
  if (answer.status === 401 || answer.status === 403)
    return faultRefusal({ fault: 'unauthorized', reason }, key)
  return refusal(
    'upstream_test_failed',
    `It lists models, but refused a call of one token to '${model}': ${reason}.`,
  )
}

function post({ url, key, connections, clock }: Engine, route: string, body: object): Promise<CallEnd> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', accept: 'application/json', ...authorization(key) }
    const path = `${new URL(url).pathname.replace(/\/+$/, '')}${route}`
    const bytes = Buffer.from(JSON.stringify(body))
    const call = connections.call({ method: 'POST', path, headers, body: bytes }, (end) => {
      cancelTimeout()
      resolve(end)
    })
    const cancelTimeout = clock.after(MODEL_TEST_MS_MAX, () =>
      call.cut('stall', `no answer within ${MODEL_TEST_MS_MAX / 1000} s`),
    )
  })
}

function authorization(key: string | null): CallHeaders {
  return key === null ? {} : { authorization: `Bearer ${key}` }
}

const SHOWN_MAX = 5

function shown(models: readonly string[]): string {
  const more = models.length > SHOWN_MAX ? ` and ${models.length - SHOWN_MAX} more` : ''
  return `${models.slice(0, SHOWN_MAX).join(', ')}${more}`
}

/** The caller's input cannot be kept; 401 and 404 would speak of our own routes. */
function refusal(code: string, message: string): RefusedError {
  return new RefusedError(code, message, { status: 422, param: 'url' })
}
