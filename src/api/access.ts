/**
 * Who may do what. On loopback the server is open until the first tenant key is created: then, and on any other address from the
 * start, a real key is needed. Only hashes are stored; comparisons take the same time whatever they find.
 */
import { timingSafeEqual } from 'node:crypto'
import { keyHash } from '../domain/ids.ts'
import { RefusedError } from '../lib/errors.ts'

export const LOCAL_TENANT = 'local'
/** Guess: how precise "last used" is; each use more often would be a write. */
export const KEY_TOUCH_MS = 60_000

export type Caller = { tenantId: string; isOwner: boolean; keyId: string | null }

export type KnownKey = { id: string; tenantId: string; expiresAt: number | null; revokedAt: number | null }

/** What the decision rests on; `findKey` is asked only for our own keys. */
export type AccessFacts = {
  bearer: string | null
  ownerToken: string
  keyPrefix: string
  /** The bind address is loopback and no key is demanded there. */
  isOpenAllowed: boolean
  hasTenantKeys: () => Promise<boolean>
  findKey: (hash: string) => Promise<KnownKey | null>
  now: number
}

/** @throws RefusedError 401 */
export async function identify(facts: AccessFacts): Promise<Caller & { isOpen: boolean }> {
  const { bearer } = facts
  if (bearer !== null && isSame(bearer, facts.ownerToken))
    return { tenantId: LOCAL_TENANT, isOwner: true, keyId: null, isOpen: false }
  if (bearer?.startsWith(facts.keyPrefix)) {
    const key = await facts.findKey(keyHash(bearer))
    const isValid =
      key !== null && key.revokedAt === null && (key.expiresAt === null || key.expiresAt > facts.now)
    if (!isValid) throw wrongKey(bearer)
    return { tenantId: key.tenantId, isOwner: false, keyId: key.id, isOpen: false }
  }
  if (facts.isOpenAllowed && !(await facts.hasTenantKeys())) {
    return { tenantId: LOCAL_TENANT, isOwner: false, keyId: null, isOpen: true }
  }
  throw bearer === null ? missingKey() : wrongKey(bearer)
}

/** A client leaves the port out where it is the scheme's own. */
const HTTP_PORT = 80
const SCHEME = 'http://'

/** Against DNS rebinding: without a key only pages and programs that name this very server are served. @throws RefusedError 403 */
export function requireSameOrigin(
  headers: { host: string | undefined; origin: string | undefined },
  address: { host: string; port: number },
): void {
  const names = new Set(['localhost', '127.0.0.1', '[::1]', bracketed(address.host)])
  const isOurs = (authority: string): boolean => {
    const match = /^(\[[0-9a-f:.]+\]|[^:@/]+)(?::(\d{1,5}))?$/i.exec(authority)
    return names.has(match?.[1]?.toLowerCase() ?? '') && Number(match?.[2] ?? HTTP_PORT) === address.port
  }
  if (!isOurs(headers.host ?? '')) {
    throw new RefusedError(
      'wrong_host',
      `Without a key this server answers only to its own address, not to host '${shown(headers.host)}'. Create a key with \`dw keys create\` to reach it under another name.`,
      { status: 403 },
    )
  }
  const { origin } = headers
  if (origin !== undefined && !(origin.startsWith(SCHEME) && isOurs(origin.slice(SCHEME.length)))) {
    throw new RefusedError(
      'wrong_origin',
      `Without a key this server takes no requests from pages of '${shown(origin)}'. Create a key with \`dw keys create\`.`,
      { status: 403 },
    )
  }
}

export function requireOwner(caller: Caller): void {
  if (caller.isOwner) return
  throw new RefusedError(
    'owner_only',
    'This route needs the owner token, which stands in the file owner-token of the data folder.',
    { status: 403 },
  )
}

export function bearerOf(authorization: string | undefined): string | null {
  const match = /^Bearer\s+(\S+)\s*$/i.exec(authorization ?? '')
  return match?.[1] ?? null
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function isSame(given: string, wanted: string): boolean {
  return timingSafeEqual(Buffer.from(keyHash(given), 'hex'), Buffer.from(keyHash(wanted), 'hex'))
}

function missingKey(): RefusedError {
  return new RefusedError(
    'missing_api_key',
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). The owner of this server makes keys with `dw keys create`.",
    { status: 401 },
  )
}

function wrongKey(bearer: string): RefusedError {
  const masked = bearer.length <= 8 ? '****' : `${bearer.slice(0, 3)}****${bearer.slice(-4)}`
  return new RefusedError(
    'invalid_api_key',
    `Incorrect API key provided: ${masked}. The owner of this server lists its keys with \`dw keys list\`.`,
    { status: 401 },
  )
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

/** Header values come from strangers: shown short and printable. */
function shown(text: string | undefined): string {
  return (text ?? '').replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 100)
}
