/**
 * Calls between the main thread and a worker thread: numbered requests, one reply each, and events the
 * worker sends on its own. A worker that dies rejects every open call and reports once through `onDeath`.
 */
import { type MessagePort, parentPort, type Transferable, Worker, workerData } from 'node:worker_threads'
import { assert, messageOf, RefusedError, TroubleError } from './errors.ts'

export type Handlers = Record<string, (argument: never) => unknown>

type Request = { id: number; name: string; argument: unknown }
type Reply = { id: number; value: unknown } | { id: number; error: SerialisedError } | { event: unknown }
type SerialisedError = {
  kind: 'refused' | 'trouble' | 'other'
  code: string
  message: string
  param: string | null
  status: number
  details: Record<string, unknown>
}

export type WorkerClient = {
  call<T>(name: string, argument: unknown, transfer?: readonly Transferable[]): Promise<T>
  /** Asks the worker to end by its own `stop` handler, then waits for its exit. */
  stop(): Promise<void>
}

export function startWorker(
  url: URL,
  options: { data: unknown; onEvent?: (event: unknown) => void; onDeath: (cause: Error) => void },
): WorkerClient {
  const worker = new Worker(url, { workerData: options.data })
  const open = new Map<number, { resolve(value: unknown): void; reject(cause: Error): void }>()
  let lastId = 0
  let isStopping = false
  let death: Error | null = null

  const die = (cause: Error): void => {
    if (death !== null) return
    death = cause
    for (const call of open.values()) call.reject(cause)
    open.clear()
    if (!isStopping) options.onDeath(cause)
  }
  worker.on('message', (reply: Reply) => {
    if ('event' in reply) return options.onEvent?.(reply.event)
    const call = open.get(reply.id)
    if (call === undefined) return
    open.delete(reply.id)
    if ('error' in reply) call.reject(revive(reply.error))
    else call.resolve(reply.value)
  })
  worker.on('error', (thrown) =>
    die(new TroubleError('stopped', `worker died: ${messageOf(thrown)}`, { cause: thrown })),
  )
  const exited = new Promise<void>((resolve) => {
    worker.on('exit', (code) => {
      die(new TroubleError('stopped', `worker ended with code ${code}`))
      resolve()
    })
  })

  const call = <T>(name: string, argument: unknown, transfer: readonly Transferable[] = []): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      if (death !== null) return reject(death)
      lastId += 1
      // The caller states the reply's type; both ends of a channel are written side by side.
      open.set(lastId, { resolve: resolve as (value: unknown) => void, reject })
      worker.postMessage({ id: lastId, name, argument } satisfies Request, transfer)
    })
  return {
    call,
    async stop() {
      isStopping = true
      if (death === null) worker.postMessage({ id: 0, name: 'stop', argument: null } satisfies Request)
      await exited
    },
  }
}

/** Runs in the worker. Handlers may be asynchronous; `stop` ends the thread once its own promise is done. */
export function serveWorker(handlers: Handlers & { stop: (argument: never) => unknown }): void {
  const port = requirePort()
  port.on('message', async (request: Request) => {
    try {
      const handler = handlers[request.name]
      assert(handler !== undefined, `worker has no handler ${request.name}`)
      const value = await handler(request.argument as never)
      if (request.name === 'stop') return port.close()
      port.postMessage({ id: request.id, value } satisfies Reply, transferablesOf(value))
    } catch (thrown) {
      port.postMessage({ id: request.id, error: serialise(thrown) } satisfies Reply)
    }
  })
}

/** Runs in the worker: sends something nobody asked for. */
export function sendEvent(event: unknown, transfer: readonly Transferable[] = []): void {
  requirePort().postMessage({ event } satisfies Reply, transfer)
}

/** What the main thread passed at the start. The caller states its type. */
export function receivedWorkerData<T>(): T {
  return workerData as T
}

/** URL of a worker's source beside the calling module, whether that runs from source or compiled. */
export function workerUrl(callerUrl: string, name: string): URL {
  return new URL(`./${name}${callerUrl.endsWith('.ts') ? '.ts' : '.js'}`, callerUrl)
}

/** A reply that is `{ transfer: ArrayBuffer[] }` hands those buffers over instead of copying them. */
function transferablesOf(value: unknown): readonly Transferable[] {
  if (typeof value !== 'object' || value === null || !('transfer' in value)) return []
  return Array.isArray(value.transfer) ? value.transfer : []
}

function requirePort(): MessagePort {
  assert(parentPort !== null, 'runs only in a worker thread')
  return parentPort
}

function serialise(thrown: unknown): SerialisedError {
  const base = { param: null, status: 500, details: {}, message: messageOf(thrown) }
  if (thrown instanceof RefusedError) {
    const { code, param, status, details } = thrown
    return { ...base, kind: 'refused', code, param, status, details: { ...details } }
  }
  if (thrown instanceof TroubleError) return { ...base, kind: 'trouble', code: thrown.code }
  return {
    ...base,
    kind: 'other',
    code: 'bug',
    message: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown),
  }
}

function revive(error: SerialisedError): Error {
  if (error.kind === 'refused') return new RefusedError(error.code, error.message, error)
  // `serialise` wrote the code from a TroubleError.
  if (error.kind === 'trouble') return new TroubleError(error.code as TroubleError['code'], error.message)
  return new Error(error.message)
}
