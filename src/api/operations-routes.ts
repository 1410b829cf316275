/** What keeps a server in operation: alive, ready, measured. No key is needed, and nothing of a tenant is told. */
import type { FastifyInstance } from 'fastify'
import { Counter, Gauge, Registry } from 'prom-client'
import type { Service, UpstreamState } from '../engine/service.ts'
import { messageOf } from '../lib/errors.ts'

export const OPEN_ROUTES: ReadonlySet<string> = new Set(['/health', '/ready', '/metrics'])

export function addOperationsRoutes(
  app: FastifyInstance,
  service: Service,
  facts: { version: string },
): void {
  app.get('/health', () => ({ status: 'ok', server: 'dw', version: facts.version }))

  app.get('/ready', async (_request, reply) => {
    try {
      const { wallClockDriftMs, space } = await service.checkReady()
      const upstreams = service.upstreams().map(presentState)
      return {
        status: 'ready',
        wall_clock_drift_ms: Math.round(wallClockDriftMs),
        disk_space: space,
        upstreams,
      }
    } catch (thrown) {
      return reply
        .code(503)
        .header('retry-after', '5')
        .send({ status: 'not ready', reason: messageOf(thrown) })
    }
  })

  const metrics = createMetrics(service)
  app.get('/metrics', async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.metrics()),
  )
}

/** For everyone who can reach the server: no address, and nothing that an upstream wrote. */
function presentState({ name, state, reason }: UpstreamState): Record<string, string | null> {
  return { name, state, reason: reason === null ? null : kindOf(reason) }
}

function kindOf(reason: string): string {
  const status = /^[1-5]\d\d(?= )/.exec(reason)?.[0]
  if (status !== undefined) return `answers ${status}`
  const code = /\bE[A-Z_]{3,}\b|\bUND_ERR_[A-Z_]+\b/.exec(reason)?.[0]
  if (code !== undefined) return `cannot be reached: ${code}`
  return / is busy$/.test(reason) ? 'busy' : 'does not answer as it should'
}

function createMetrics(service: Service): Registry {
  const registry = new Registry()
  const registers = [registry]
  const counters = () => service.counters()
  new Counter({
    name: 'dw_requests_recorded_total',
    help: 'Lines whose end was recorded, by outcome.',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset()
      for (const [outcome, count] of Object.entries(counters().requestsRecorded)) this.inc({ outcome }, count)
    },
  })
  const totals = {
    dw_calls_started_total: { help: 'HTTP calls made to upstreams.', read: () => counters().callsStarted },
    dw_calls_retried_total: {
      help: 'Calls for a line that had been called before.',
      read: () => counters().callsRetried,
    },
    dw_realtime_calls_total: {
      help: 'Realtime calls handed to upstreams.',
      read: () => counters().realtimeStarted,
    },
    dw_log_syncs_total: { help: 'Syncs of the commit log.', read: () => counters().syncs },
  }
  for (const [name, { help, read }] of Object.entries(totals)) {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }
  const gauges = {
    dw_calls_in_flight: { help: 'Calls to upstreams that have not ended.', read: () => counters().inFlight },
    dw_realtime_waiting: {
      help: 'Realtime calls that wait for a free place at an upstream.',
      read: () => counters().realtimeWaiting,
    },
    dw_batches_live: { help: 'Batches that have not ended.', read: () => counters().liveBatches },
    dw_sync_p50_milliseconds: {
      help: 'Received to durable, median of the last syncs.',
      read: () => counters().syncP50Ms,
    },
    dw_sync_p99_milliseconds: {
      help: 'Received to durable, 99th percentile of the last syncs.',
      read: () => counters().syncP99Ms,
    },
    dw_upstreams_up: {
      help: 'Upstreams that take calls.',
      read: () => service.upstreams().filter(({ state }) => state === 'up').length,
    },
    dw_upstreams: { help: 'Upstreams configured.', read: () => service.upstreams().length },
    process_heap_bytes: {
      help: 'JavaScript heap of the main thread.',
      read: () => process.memoryUsage().heapTotal,
    },
    process_external_memory_bytes: {
      help: 'Memory of buffers, all threads.',
      read: () => process.memoryUsage().external,
    },
    process_resident_memory_bytes: {
      help: 'Resident memory of the server.',
      read: () => process.memoryUsage.rss(),
    },
  }
  for (const [name, { help, read }] of Object.entries(gauges)) {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  return registry
}
