/** What only our own server tells: whether it is ready, its disk, and the engines behind it. */
import type { Client, WireUpstream } from '../../client/client.ts'
import { ApiError } from '../../client/errors.ts'
import { messageOf } from '../../lib/errors.ts'
import { errorFacts } from '../cli-error.ts'
import { formatDuration } from '../format.ts'
import { isDw, type Probe } from './answer-checks.ts'
import { type Check, type Finding, failed, ok, skipped, unknown, warned } from './checks.ts'
import { STEP_MS_MAX } from './network-checks.ts'

/** Guess: deadlines are kept by the server's own time, which then is another than that of its machine. */
const DRIFT_MS_WARN = 30_000

type Ready = {
  status: string | null
  reason: string | null
  driftMs: number | null
  diskSpace: string | null
}

export type ServerCheckParts = {
  probe: Probe
  admin: () => Promise<Client>
  /** Free bytes of the data folder, as words; null for a server elsewhere. */
  freeSpace: () => string | null
}

export function serverChecks({ probe, admin, freeSpace }: ServerCheckParts): Check[] {
  let ready: Ready | null = null
  const onlyDw =
    (run: () => Finding | Promise<Finding>): (() => Finding | Promise<Finding>) =>
    () =>
      isDw(probe) ? run() : skipped('no dw server')
  return [
    {
      name: 'server',
      needs: ['http'],
      run: onlyDw(async () => {
        ready = await askReady(probe)
        return checkReady(ready)
      }),
    },
    { name: 'disk', needs: ['server'], run: onlyDw(() => checkDisk(ready?.diskSpace ?? null, freeSpace())) },
    { name: 'upstreams', needs: ['server'], run: onlyDw(() => checkUpstreams(admin)) },
  ]
}

async function askReady({ baseUrl }: Probe): Promise<Ready> {
  const nothing = { status: null, driftMs: null, diskSpace: null }
  try {
    const reply = await fetch(new URL('/ready', baseUrl), {
      signal: AbortSignal.timeout(STEP_MS_MAX),
      redirect: 'manual',
    })
    const body: unknown = await reply.json()
    if (typeof body !== 'object' || body === null) return { ...nothing, reason: null }
    const text = (name: string): string | null => {
      const value: unknown = Reflect.get(body, name)
      return typeof value === 'string' ? value : null
    }
    const drift: unknown = Reflect.get(body, 'wall_clock_drift_ms')
    return {
      status: text('status'),
      reason: text('reason'),
      driftMs: typeof drift === 'number' ? drift : null,
      diskSpace: text('disk_space'),
    }
  } catch (thrown) {
    return { ...nothing, reason: messageOf(thrown) }
  }
}

function checkReady({ status, reason, driftMs }: Ready): Finding {
  if (status === 'not ready')
    return failed(
      `the server is not ready: ${reason ?? 'it does not say why'}`,
      'Look into its log, mend the cause, and start it again: dw serve',
    )
  if (status !== 'ready')
    return unknown(`the server does not tell whether it is ready${reason === null ? '' : ` (${reason})`}`)
  if (driftMs !== null && Math.abs(driftMs) >= DRIFT_MS_WARN)
    return warned(
      `the clock of its machine was moved by ${formatDuration(Math.abs(driftMs))} while the server ran`,
      'Start the server again when it suits you: it follows the clock from then on.',
    )
  return ok('storage and engine are usable')
}

function checkDisk(space: string | null, free: string | null): Finding {
  const words = free === null ? '' : ` (${free} free)`
  const fix =
    'Free some space on the disk of the data folder, or lower [limits] upload_free_bytes in its configuration.'
  if (space === 'ok') return ok(`there is room${words}`)
  if (space === 'low') return failed(`the disk is nearly full${words}: uploads are refused`, fix)
  if (space === 'full')
    return failed(`the disk is full${words}: uploads are refused and no request is sent`, fix)
  return unknown(`the server does not tell${words}`)
}

async function checkUpstreams(admin: () => Promise<Client>): Promise<Finding> {
  let upstreams: WireUpstream[]
  try {
    const { admin: owner } = await admin()
    upstreams = await Promise.all(
      (await owner.upstreams.list()).map(async (one) =>
        one.state === 'unknown' ? await owner.upstreams.test(one.name) : one,
      ),
    )
  } catch (thrown) {
    const { message, hint } = errorFacts(thrown)
    return unknown(thrown instanceof ApiError ? 'the owner token is refused' : message, hint)
  }
  if (upstreams.length === 0)
    return warned('there is no engine behind the server', 'dw upstream add http://localhost:8000/v1')
  const down = upstreams.filter(({ state }) => state === 'paused' || state === 'unknown')
  const [first] = down
  if (first !== undefined)
    return failed(
      `${down.length} of ${upstreams.length} engines take no calls: ${down.map(({ name, reason }) => `${name} (${reason ?? 'unknown why'})`).join(', ')}`,
      `dw upstream test ${first.name}`,
    )
  const slowed = upstreams.filter(({ state }) => state === 'slowed').map(({ name }) => name)
  return slowed.length > 0
    ? warned(
        `engines that ask for fewer calls: ${slowed.join(', ')}`,
        'They are called less until they recover; nothing is lost.',
      )
    : ok(`${upstreams.length} of ${upstreams.length} take calls`)
}
