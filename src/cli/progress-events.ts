/** Progress of batches as events: at once when a state changes, at most once a second while figures do, and at least every ten seconds. */
import type { CliEvent, Standing } from './events.ts'
import { oneLine } from './format.ts'
import type { Display, DisplayOptions } from './progress-display.ts'
import type { BatchView } from './progress-line.ts'

/** Guess: a reader needs no figure more often. */
const EVENT_GAP_MS = 1_000
/** Required by the reference: something at least this often. */
const HEARTBEAT_MS = 10_000

/** What was told last of each batch. Of one that has ended nothing more is. */
export type ToldEvents = Map<string, Told>

type Told = { at: number; state: string; figures: string; isEnded: boolean }

export function createEvents(
  emit: (event: CliEvent) => void,
  options: DisplayOptions & { now: () => number; told: ToldEvents },
): Display {
  const { told } = options
  const tell = (view: BatchView): void => {
    const last = told.get(view.id)
    if (last?.isEnded === true) return
    emit(progressOf(view, options.now()))
    if (view.isEnded) emit({ event: 'ended', ...standingOf(view) })
    told.set(view.id, { at: options.now(), ...keysOf(view), isEnded: view.isEnded })
  }
  const changed = (): void => {
    for (const view of options.views()) {
      const last = told.get(view.id)
      const { state, figures } = keysOf(view)
      const isDue = last !== undefined && figures !== last.figures && options.now() - last.at >= EVENT_GAP_MS
      if (last === undefined || state !== last.state || isDue) tell(view)
    }
  }
  const timer = setInterval(() => {
    for (const view of options.views()) tell(view)
  }, HEARTBEAT_MS)
  changed()
  return {
    changed,
    say() {},
    end() {
      clearInterval(timer)
      changed()
    },
  }
}

function keysOf(view: BatchView): { state: string; figures: string } {
  return {
    state: [view.status, view.reason, view.trouble, view.isEnded].join('\n'),
    figures: [view.completed, view.failed, view.total].join('\n'),
  }
}

function standingOf({ id, status, completed, failed, total }: BatchView): Standing {
  return { batch_id: id, status, done: completed + failed, total, failed }
}

function progressOf(view: BatchView, now: number): CliEvent {
  const { requestsPerSecond, tokensPerSecond, etaMs, dueMs, reason, trouble } = view
  const why = trouble ?? reason
  return {
    event: 'progress',
    ...standingOf(view),
    req_per_s: rounded(requestsPerSecond),
    tok_per_s: rounded(tokensPerSecond),
    eta_s: etaMs === null ? null : rounded(etaMs / 1_000),
    deadline_at: dueMs === null ? null : Math.round((now + dueMs) / 1_000),
    reason: why === null ? null : oneLine(why),
  }
}

function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(4))
}
