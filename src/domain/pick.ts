/**
 * Which lane is served next. Pure: it sees the lanes of one model and names one of them.
 *
 * A lane that would miss its deadline at the current pace is critical; among critical lanes the earliest deadline goes first.
 * Without one, the tenant with the least in flight is served, and of its lanes the one with the earliest deadline.
 */

export type LaneView = {
  readonly deadlineAt: number
  /** Orders lanes of one deadline: the older batch first. */
  readonly seq: number
  readonly linesLeft: number
  /** A line of it can be sent right now. */
  readonly isReady: boolean
}

export type TenantView<L extends LaneView> = {
  readonly inFlight: number
  /** Sorted by `compareLanes`. */
  readonly lanes: readonly L[]
}

export type Pace = { now: number; linesPerSecond: number | null }

/** Guess: a lane is critical while it needs more than half of the time it has left. Revisit with the scheduler benchmark. */
const TIME_NEEDED_SHARE = 0.5

export function compareLanes(a: LaneView, b: LaneView): number {
  return a.deadlineAt - b.deadlineAt || a.seq - b.seq
}

/** @returns a ready lane, or null when there is none. */
export function pickLane<L extends LaneView>(tenants: Iterable<TenantView<L>>, pace: Pace): L | null {
  let critical: L | null = null
  let fair: L | null = null
  let fairInFlight = Number.POSITIVE_INFINITY
  for (const tenant of tenants) {
    const lane = firstReady(tenant.lanes)
    if (lane === null) continue
    if (isCritical(lane, pace) && (critical === null || compareLanes(lane, critical) < 0)) critical = lane
    const isLess = tenant.inFlight < fairInFlight
    if (isLess || (tenant.inFlight === fairInFlight && fair !== null && compareLanes(lane, fair) < 0)) {
      fair = lane
      fairInFlight = tenant.inFlight
    }
  }
  return critical ?? fair
}

export function isCritical(lane: LaneView, pace: Pace): boolean {
  if (pace.linesPerSecond === null) return false
  const leftMs = lane.deadlineAt - pace.now
  return (lane.linesLeft / pace.linesPerSecond) * 1000 > leftMs * TIME_NEEDED_SHARE
}

function firstReady<L extends LaneView>(lanes: readonly L[]): L | null {
  for (const lane of lanes) if (lane.isReady) return lane
  return null
}
