/**
 * Addresses on the internet at large, told from those that only this machine or its network can reach: what strangers name as a
 * target must not lead there.
 */
import { type LookupAddress, type LookupOptions, lookup } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import { RefusedError } from './errors.ts'

const inner = new BlockList()
const innerRanges: readonly (readonly [string, number, 'ipv4' | 'ipv6'])[] = [
  ['0.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.0.0.0', 24, 'ipv4'],
  ['192.0.2.0', 24, 'ipv4'],
  ['192.88.99.0', 24, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['198.18.0.0', 15, 'ipv4'],
  ['198.51.100.0', 24, 'ipv4'],
  ['203.0.113.0', 24, 'ipv4'],
  ['224.0.0.0', 3, 'ipv4'],
  ['::', 96, 'ipv6'],
  ['64:ff9b::', 96, 'ipv6'],
  ['64:ff9b:1::', 48, 'ipv6'],
  ['100::', 64, 'ipv6'],
  ['2001::', 23, 'ipv6'],
  ['2001:db8::', 32, 'ipv6'],
  ['2002::', 16, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['fec0::', 10, 'ipv6'],
  ['ff00::', 8, 'ipv6'],
]
for (const [network, prefix, family] of innerRanges) inner.addSubnet(network, prefix, family)

/** @param address an IP address, without brackets */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 0) return false
  // IPv4 addresses in IPv6 form are compared as the former by the list itself.
  return !inner.check(address, family === 4 ? 'ipv4' : 'ipv6')
}

type LookupCallback = (
  cause: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void

/**
 * Finds a name's addresses for a connection that is made to exactly these: a name that changes between the look and the connection
 * leads nowhere else. A name with any address that is not public is refused.
 */
export function lookupPublic(name: string, options: LookupOptions, callback: LookupCallback): void {
  lookup(name, { ...options, all: true }, (cause, found) => {
    if (cause !== null) return callback(cause, [])
    const inside = found.find(({ address }) => !isPublicAddress(address))
    if (inside !== undefined) return callback(notPublic(`${name} (${inside.address})`), [])
    if (options.all === true) return callback(null, found)
    const [first] = found
    callback(null, first?.address ?? '', first?.family ?? 0)
  })
}

/** Connections to an address need no look-up: they are judged by this. @throws RefusedError */
export function requirePublicHost(url: URL): void {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0 && !isPublicAddress(host)) throw notPublic(host)
}

function notPublic(what: string): RefusedError {
  return new RefusedError(
    'private_target',
    `${what} is no public address. The operator of this server can allow such targets with webhooks.allow_private_targets.`,
  )
}
