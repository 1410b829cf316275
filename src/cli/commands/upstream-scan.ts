/**
 * Looks for engines on this machine, at the ports that presets name and nowhere else. Nothing is added unless a person says so: where
 * there is no terminal, the commands that would add them are printed.
 */
import type { WireUpstream } from '../../contract/wire.ts'
import { isLocalPreset, type UpstreamPreset, upstreamPresets } from '../../domain/upstream-presets.ts'
import { assert } from '../../lib/errors.ts'
import type { CommandContext } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import type { View } from '../output.ts'
import { confirmed } from './ask.ts'
import { addUpstream } from './upstream-add.ts'

/** Guess: a program on this machine answers sooner. */
const ANSWER_MS_MAX = 2_000
/** Guess: a list of models is smaller. */
const LIST_BYTES_MAX = 4 * 1024 * 1024

export type ScannedPlace = {
  preset: string
  url: string
  /** locked: it demands a key before it tells its models. none: no engine answers. */
  state: 'found' | 'locked' | 'none'
  models: string[]
  /** Name under which the server has it already; null when it has not. */
  added_as: string | null
}

const stateWords = { locked: 'an engine that needs a key', none: 'no engine' } as const

const view: View<ScannedPlace> = {
  columns: [
    { title: 'Preset', value: ({ preset }) => preset },
    { title: 'URL', value: ({ url }) => url },
    {
      title: 'Found',
      value: ({ state, models }) => (state === 'found' ? models.join(', ') : stateWords[state]),
    },
    { title: 'Added', value: ({ added_as: name }) => (name === null ? 'no' : `as ${name}`) },
  ],
  plain: ({ preset, url, state }) => [preset, url, state],
}

export async function run(context: CommandContext): Promise<number> {
  const { output } = context
  const { admin } = await context.admin()
  const known = await admin.upstreams.list()
  const places = await scan(upstreamPresets.filter(isLocalPreset), { known, signal: context.signal })
  output.rows(places, view)
  const found = places.filter(({ state }) => state !== 'none')
  if (found.length === 0)
    output.say('No engine answers at the usual ports. To add one at another: dw upstream add URL')
  for (const place of found.filter(({ added_as: name }) => name === null)) {
    if (context.isInteractive && place.state === 'found') await offer(context, place)
    else output.say(`to add it: ${commandFor(place)}`)
  }
  return exitCode('ok')
}

async function offer(context: CommandContext, place: ScannedPlace): Promise<void> {
  const preset = upstreamPresets.find(({ name }) => name === place.preset)
  assert(preset !== undefined, 'every place that was looked at is that of a preset')
  const text = `Add ${place.preset} at ${place.url}?`
  if (!(await confirmed(context, { text, isYes: false, command: commandFor(place) }))) return
  const { name, url, concurrency } = preset
  const engine = { name, url, concurrency, key: null, models: null, isTested: true }
  const added = await addUpstream(context, engine)
  context.output.say(`Added ${added.name}: ${added.models.join(', ')}`)
}

function commandFor({ preset, state }: ScannedPlace): string {
  return `dw upstream add ${preset}${state === 'locked' ? ' --key-env VARIABLE' : ''}`
}

/** What answers at the addresses of these presets. */
export async function scan(
  presets: readonly Pick<UpstreamPreset, 'name' | 'url'>[],
  options: { known: readonly Pick<WireUpstream, 'name' | 'url'>[]; signal: AbortSignal },
): Promise<ScannedPlace[]> {
  const places = await Promise.all(
    presets.map(async ({ name, url }) => {
      const same = options.known.find((upstream) => isSamePlace(upstream.url, url))
      const answer = await askForModels(url, options.signal)
      return { preset: name, url, ...answer, added_as: same?.name ?? null }
    }),
  )
  options.signal.throwIfAborted()
  return places
}

type Answer = Pick<ScannedPlace, 'state' | 'models'>

const NOTHING: Answer = { state: 'none', models: [] }

/** Nothing is also a server of our own. */
async function askForModels(url: string, signal: AbortSignal): Promise<Answer> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)])
    const reply = await fetch(`${url}/models`, { signal: limit, redirect: 'error' })
    if (reply.headers.has('dw-version')) return NOTHING
    const text = await textOf(reply)
    const isJson = reply.headers.get('content-type')?.includes('json') ?? false
    if (reply.status === 401 && isJson) return { state: 'locked', models: [] }
    const models = reply.ok ? modelsIn(JSON.parse(text)) : null
    return models === null ? NOTHING : { state: 'found', models }
  } catch {
    // Nothing listens there, or what does is no engine: both are what most ports of most machines are.
    return NOTHING
  }
}

function modelsIn(parsed: unknown): string[] | null {
  if (typeof parsed !== 'object' || parsed === null || !('data' in parsed)) return null
  if (!Array.isArray(parsed.data)) return null
  const ids = parsed.data.map((model: { id?: unknown } | null) => model?.id)
  return ids.filter((id): id is string => typeof id === 'string')
}

async function textOf(reply: Response): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of reply.body ?? new ReadableStream<Uint8Array>()) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > LIST_BYTES_MAX) throw new Error('this is no list of models')
  }
  return text
}

const LOOPBACK = /^(localhost|127\.0\.0\.1|\[::1\])$/

function isSamePlace(a: string, b: string): boolean {
  const [one, other] = [new URL(a), new URL(b)]
  const isSameHost =
    one.hostname === other.hostname || (LOOPBACK.test(one.hostname) && LOOPBACK.test(other.hostname))
  return isSameHost && one.port === other.port
}
