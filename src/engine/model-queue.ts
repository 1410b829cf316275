/** The lanes that ask for one model, by tenant, in the order in which `pickLane` wants them. */
import { LANES_LOADING_MAX } from '../domain/limits.ts'
import { compareLanes, pickLane } from '../domain/pick.ts'
import type { Lane } from './lane.ts'

type Tenant = { inFlight: number; lanes: Lane[] }

/** Guess: how far back the pace of a model looks. */
const PACE_MS = 10_000

export class ModelQueue {
  readonly model: string
  /** As in a lane, of all lanes for this model. */
  lastTrial = 0
  readonly #tenants = new Map<string, Tenant>()
  #paceStartedAt: number
  #paceLines = 0
  #linesPerSecond: number | null = null

  constructor(model: string, now: number) {
    this.model = model
    this.#paceStartedAt = now
  }

  get isEmpty(): boolean {
    return this.#tenants.size === 0
  }

  add(lane: Lane): void {
    const tenant = this.#tenant(lane.options.tenantId)
    tenant.lanes.push(lane)
    tenant.lanes.sort(compareLanes)
  }

  remove(lane: Lane): void {
    const tenant = this.#tenant(lane.options.tenantId)
    tenant.lanes = tenant.lanes.filter((other) => other !== lane)
    this.#forgetIfIdle(lane.options.tenantId, tenant)
  }

  pick(now: number): Lane | null {
    return pickLane(this.#tenants.values(), { now, linesPerSecond: this.#linesPerSecond })
  }

  /** The ready lane whose last trial is longest ago: bad lines of one batch do not keep all others from proving the engine. */
  pickForTrial(): Lane | null {
    let best: Lane | null = null
    for (const { lanes } of this.#tenants.values()) {
      for (const lane of lanes)
        if (lane.isReady && (best === null || lane.lastTrial < best.lastTrial)) best = lane
    }
    return best
  }

  noteTrial(lane: Lane, number: number): void {
    lane.lastTrial = number
    this.lastTrial = number
  }

  noteStart(lane: Lane): void {
    lane.inFlight += 1
    this.#tenant(lane.options.tenantId).inFlight += 1
  }

  noteEnd(lane: Lane, now: number): void {
    lane.inFlight -= 1
    const tenant = this.#tenant(lane.options.tenantId)
    tenant.inFlight -= 1
    this.#forgetIfIdle(lane.options.tenantId, tenant)
    this.#paceLines += 1
    const elapsedMs = now - this.#paceStartedAt
    if (elapsedMs < PACE_MS) return
    this.#linesPerSecond = (this.#paceLines / elapsedMs) * 1000
    this.#paceStartedAt = now
    this.#paceLines = 0
  }

  /** Lets the lanes that come next read ahead; few at a time, so that a thousand waiting lanes hold no lines in memory. */
  loadAhead(): void {
    let loading = 0
    for (const tenant of this.#tenants.values()) {
      let ready = 0
      for (const lane of tenant.lanes) {
        if (loading >= LANES_LOADING_MAX) return
        if (lane.canLoad) lane.load()
        if (lane.isLoading) loading += 1
        if (lane.isReady) ready += 1
        // One ready lane beyond the one being served is enough for this tenant.
        if (ready >= 2 || loading >= LANES_LOADING_MAX) break
      }
    }
  }

  #tenant(id: string): Tenant {
    let tenant = this.#tenants.get(id)
    if (tenant === undefined) {
      tenant = { inFlight: 0, lanes: [] }
      this.#tenants.set(id, tenant)
    }
    return tenant
  }

  #forgetIfIdle(id: string, tenant: Tenant): void {
    if (tenant.lanes.length === 0 && tenant.inFlight === 0) this.#tenants.delete(id)
  }
}
