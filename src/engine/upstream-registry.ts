/**
 * The engines behind this server: from the configuration, from the operator's `upstream add`, and the simulated model.
 * A key's value lives in memory and in its own 0600 file; the store knows only that there is one.
 */
import type { ServerConfig } from '../domain/config.ts'
import type { Clock } from '../lib/clock.ts'
import { RefusedError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { UpstreamStore } from '../store/store.ts'
import type { UpstreamAdmin } from './engine.ts'
import type { NewUpstream, ServedModel, UpstreamState } from './service.ts'
import { Upstream, type UpstreamSettings } from './upstream.ts'
import { checkUpstream } from './upstream-check.ts'

/** Where keys of upstreams are kept. */
export type KeyFiles = {
  read(name: string): string | null
  write(name: string, key: string): void
  remove(name: string): void
}

const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/
/** Guess: permits and picks walk over all upstreams. */
const UPSTREAMS_MAX = 254

export class UpstreamRegistry implements UpstreamAdmin {
  readonly #upstreams = new Map<string, Upstream>()
  readonly #fixedNames = new Set<string>()
  readonly #modelsSince = new Map<string, number>()
  readonly #parts: RegistryParts

  constructor(parts: RegistryParts) {
    this.#parts = parts
  }

  /** Opens what is configured and stored, and asks each for its models without waiting for the answers. */
  async start(
    fixed: readonly { name: string; url: string; key: string | null; concurrency: number }[],
  ): Promise<void> {
    const createdAt = this.#parts.clock.now()
    for (const upstream of fixed) {
      this.#fixedNames.add(upstream.name)
      await this.#open({ ...upstream, createdAt })
    }
    for (const row of await this.#parts.store.list()) {
      if (this.#upstreams.has(row.name)) continue
      await this.#open({ ...row, key: row.hasKey ? this.#parts.keyFiles.read(row.name) : null })
    }
    for (const upstream of this.#upstreams.values()) void upstream.probe()
  }

  get inFlight(): number {
    let sum = 0
    for (const upstream of this.#upstreams.values()) sum += upstream.inFlight
    return sum
  }

  /** An upstream that takes a call for the model now, the one with the most free permits; null when there is none. */
  pick(model: string): Upstream | null {
    let best: Upstream | null = null
    let bestFree = 0
    for (const upstream of this.#upstreams.values()) {
      const free = upstream.free(model)
      if (free > bestFree) {
        best = upstream
        bestFree = free
      }
    }
    return best
  }

  /** What somebody may hope for who waits for an answer of the model: a permit, nothing for now, nothing at all. */
  outlook(model: string): 'served' | 'paused' | 'unknown' {
    const all = [...this.#upstreams.values()]
    const serving = all.filter((upstream) => upstream.serves(model))
    if (serving.some((upstream) => upstream.isOnTrial || isAtWork(upstream))) return 'served'
    // One that has not told its models yet may have it.
    return serving.length > 0 || all.some((upstream) => !upstream.hasAnswered) ? 'paused' : 'unknown'
  }

  /** Waits for the first lists of models, where one is still on its way. */
  async firstModels(): Promise<void> {
    const asked = [...this.#upstreams.values()].filter((upstream) => upstream.state().state === 'unknown')
    await Promise.all(asked.map((upstream) => upstream.probe()))
  }

  /** True only when every upstream has told its models and none has ever had this one (DESIGN §5). */
  isUnknownModel(model: string): boolean {
    const all = [...this.#upstreams.values()]
    return all.length > 0 && all.every((upstream) => upstream.hasAnswered && !upstream.everListed(model))
  }

  /** Why no call goes out for the model, or null when one could. */
  reasonFor(model: string): string | null {
    const all = [...this.#upstreams.values()]
    if (all.length === 0) return 'waiting: no upstream is configured; add one with `dw upstream add URL`'
    const serving = all.filter((upstream) => upstream.serves(model) || upstream.everListed(model))
    if (serving.length === 0) {
      const silent = all.find((upstream) => !upstream.hasAnswered)
      const reason = silent?.state().reason
      return reason === null || reason === undefined
        ? `waiting: no upstream lists the model ${model} yet`
        : `waiting: ${reason}`
    }
    const states = serving.map((upstream) => upstream.state())
    if (states.some(({ state }) => state === 'up')) return null
    const [first] = states
    return first?.reason === null || first?.reason === undefined
      ? 'waiting: asking the upstream for its models'
      : `waiting: ${first.reason}`
  }

  models(): ServedModel[] {
    const seen = new Map<string, ServedModel>()
    for (const upstream of this.#upstreams.values()) {
      for (const id of upstream.models) {
        if (!this.#modelsSince.has(id)) this.#modelsSince.set(id, upstream.settings.createdAt)
        seen.set(id, { id, createdAt: this.#modelsSince.get(id) ?? 0, ownedBy: upstream.settings.name })
      }
    }
    return [...seen.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }

  list(): UpstreamState[] {
    return [...this.#upstreams.values()].map(present)
  }

  async add(request: NewUpstream): Promise<UpstreamState> {
    const given = requireUrl(request.url)
    const name = request.name ?? freeName(new URL(given), (taken) => this.#upstreams.has(taken))
    this.#requireFree(name)
    const { clock, config } = this.#parts
    const { answerBytesMax } = config.limits
    const url = request.isTested
      ? (await checkUpstream({ ...request, url: request.url }, { clock, answerBytesMax })).url
      : given
    // Another may have taken the name while the engine was asked.
    this.#requireFree(name)
    const concurrency = request.concurrency ?? config.limits.concurrencyDefault
    const createdAt = clock.now()
    if (request.key !== null) this.#parts.keyFiles.write(name, request.key)
    await this.#parts.store.put({ name, url, concurrency, hasKey: request.key !== null, createdAt })
    const upstream = await this.#open({ name, url, key: request.key, concurrency, createdAt })
    await upstream.probe()
    return present(upstream)
  }

  #requireFree(name: string): void {
    if (!NAME_PATTERN.test(name)) {
      throw new RefusedError(
        'invalid_value',
        `Invalid upstream name '${name}': use a-z, 0-9, '.', '_' and '-', at most 63.`,
        { param: 'name' },
      )
    }
    if (this.#upstreams.has(name)) {
      throw new RefusedError(
        'upstream_exists',
        `An upstream named '${name}' exists. Remove it first, or choose another name.`,
        { status: 409, param: 'name' },
      )
    }
    if (this.#upstreams.size >= UPSTREAMS_MAX) {
      throw new RefusedError('too_many_upstreams', `At most ${UPSTREAMS_MAX} upstreams are possible.`, {
        param: 'name',
      })
    }
  }

  async remove(name: string): Promise<boolean> {
    if (this.#fixedNames.has(name)) {
      throw new RefusedError(
        'upstream_fixed',
        `'${name}' comes from the configuration of the server; remove it there.`,
        { status: 409 },
      )
    }
    const upstream = this.#upstreams.get(name)
    const isRemoved = await this.#parts.store.remove(name)
    if (upstream === undefined) return isRemoved
    this.#upstreams.delete(name)
    this.#parts.keyFiles.remove(name)
    await upstream.stop()
    this.#parts.onChange()
    return true
  }

  async test(name: string): Promise<UpstreamState | null> {
    const upstream = this.#upstreams.get(name)
    if (upstream === undefined) return null
    await upstream.probe()
    return present(upstream)
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#upstreams.values()].map((upstream) => upstream.stop()))
  }

  async #open(settings: Omit<UpstreamSettings, 'number'>): Promise<Upstream> {
    const { store, clock, random, config, onChange } = this.#parts
    const number = await store.numberOf(settings.name)
    const timing = { ...config.timing, answerBytesMax: config.limits.answerBytesMax }
    const upstream = new Upstream({ ...settings, number }, { clock, random, timing, onChange })
    this.#upstreams.set(settings.name, upstream)
    return upstream
  }
}

export type RegistryParts = {
  store: UpstreamStore
  keyFiles: KeyFiles
  clock: Clock
  random: Random
  config: ServerConfig
  /** Something may be possible now that was not before. */
  onChange: () => void
}

function present(upstream: Upstream): UpstreamState {
  const { name, url, concurrency, key, createdAt } = upstream.settings
  return {
    name,
    url,
    concurrency,
    hasKey: key !== null,
    createdAt,
    ...upstream.state(),
    models: upstream.models,
    inFlight: upstream.inFlight,
  }
}

function isAtWork(upstream: Upstream): boolean {
  const { state } = upstream.state()
  return state === 'up' || state === 'slowed'
}

/** The base URL in one form: without a trailing slash, ending in a version segment such as `/v1`. */
function requireUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw new RefusedError(
      'invalid_value',
      `Invalid upstream URL '${text}': it needs the form http://host:port/v1.`,
      { param: 'url', details: { cause } },
    )
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new RefusedError(
      'invalid_value',
      `Invalid upstream URL '${text}': only http and https are possible.`,
      { param: 'url' },
    )
  }
  if (url.username !== '' || url.password !== '') {
    throw new RefusedError('invalid_value', 'Invalid upstream URL: it must not hold a key; use --key-env.', {
      param: 'url',
    })
  }
  const path = url.pathname.replace(/\/+$/, '')
  return `${url.origin}${path === '' ? '/v1' : path}`
}

function freeName(url: URL, isTaken: (name: string) => boolean): string {
  const base =
    `${url.hostname}${url.port === '' ? '' : `-${url.port}`}`
      .toLowerCase()
      .replace(/[^a-z0-9._-]/g, '-')
      .replace(/^[^a-z0-9]+/, '') || 'upstream'
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? base.slice(0, 60) : `${base.slice(0, 56)}-${count}`
    if (!isTaken(name)) return name
  }
}
