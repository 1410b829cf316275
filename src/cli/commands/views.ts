/** How files, models, upstreams and keys look as rows. */
import type { WireFile, WireKey, WireModel, WireUpstream } from '../../contract/wire.ts'
import { formatBytes, formatInstant } from '../format.ts'
import type { View } from '../output.ts'

const instant = (seconds: number | null): string => (seconds === null ? '-' : formatInstant(seconds * 1000))

export const fileView: View<WireFile> = {
  columns: [
    { title: 'ID', value: ({ id }) => id },
    { title: 'Filename', value: ({ filename }) => filename },
    { title: 'Size', value: ({ bytes }) => formatBytes(bytes), isNumber: true },
    { title: 'Purpose', value: ({ purpose }) => purpose },
    { title: 'Created', value: ({ created_at }) => instant(created_at) },
  ],
  plain: ({ id, filename, bytes }) => [id, filename, formatBytes(bytes)],
}

export const modelView: View<WireModel> = {
  columns: [
    { title: 'Model', value: ({ id }) => id },
    { title: 'Upstream', value: ({ owned_by }) => owned_by },
  ],
  plain: ({ id }) => [id],
}

export const upstreamView: View<WireUpstream> = {
  columns: [
    { title: 'Name', value: ({ name }) => name },
    { title: 'URL', value: ({ url }) => url },
    { title: 'State', value: ({ state, reason }) => (reason === null ? state : `${state}: ${reason}`) },
    { title: 'Models', value: ({ models }) => shortList(models) },
    {
      title: 'In flight',
      value: ({ in_flight, concurrency }) => `${in_flight} of ${concurrency} a model`,
      isNumber: true,
    },
    { title: 'Key', value: ({ has_key }) => (has_key ? 'yes' : 'none') },
  ],
  plain: ({ name, url, state }) => [name, url, state],
  id: ({ name }) => name,
}

export const keyView: View<WireKey> = {
  columns: [
    { title: 'ID', value: ({ id }) => id },
    { title: 'Name', value: ({ name }) => name },
    { title: 'Tenant', value: ({ tenant }) => tenant },
    { title: 'Key', value: ({ tail }) => `…${tail}` },
    { title: 'Created', value: ({ created_at }) => instant(created_at) },
    { title: 'Last used', value: ({ last_used_at }) => instant(last_used_at) },
    { title: 'State', value: (key) => stateOf(key) },
  ],
  plain: ({ id, name, tenant }) => [id, name, tenant],
}

function stateOf(key: WireKey): string {
  if (key.revoked_at !== null) return 'revoked'
  if (key.expires_at === null) return 'valid'
  return key.expires_at * 1000 > Date.now() ? `until ${instant(key.expires_at)}` : 'expired'
}

const SHOWN_MAX = 3

function shortList(names: readonly string[]): string {
  if (names.length === 0) return 'none'
  const shown = names.slice(0, SHOWN_MAX).join(', ')
  return names.length > SHOWN_MAX ? `${shown} and ${names.length - SHOWN_MAX} more` : shown
}
