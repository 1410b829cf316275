/** What the hooks have found out about a request before its route runs. */
import type { FastifyRequest } from 'fastify'
import { assert } from '../lib/errors.ts'
import type { Caller } from './access.ts'

const callers = new WeakMap<FastifyRequest, Caller>()

export function setCaller(request: FastifyRequest, caller: Caller): void {
  callers.set(request, caller)
}

export function callerOf(request: FastifyRequest): Caller {
  const caller = callers.get(request)
  assert(caller !== undefined, 'the access hook runs before every route')
  return caller
}

export function knownCallerOf(request: FastifyRequest): Caller | null {
  return callers.get(request) ?? null
}

export function tenantOf(request: FastifyRequest): string {
  return callerOf(request).tenantId
}

/** The `:id` or `:name` of the path, decoded. */
export function idOf(request: FastifyRequest): string {
  // Routes that call this have the parameter.
  const params = request.params as { id?: string; name?: string; '*'?: string }
  return params.id ?? params.name ?? params['*'] ?? ''
}

export function headerOf(request: FastifyRequest, name: string): string | null {
  const value = request.headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? null
}
