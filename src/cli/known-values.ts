/** Values that a person may mean: ids, names of models, profiles and upstreams. For completion, and for the nearest to a mistyped one. */

import type { CommandContext, ValueKind } from './command.ts'
import { commands } from './commands.ts'
import { createContext } from './context.ts'
import { topics } from './help.ts'
import { readProfiles } from './profiles.ts'
import { plainVoice } from './voice.ts'

export type KnownValue = { value: string; says: string }

/** Guess: the recent ones are those that are meant. */
const RECENT_MAX = 50

/**
 * What there is of a kind; empty when it cannot be told within the time. Never throws.
 * @param options.withinMs also bounds the tries to reach a server
 */
export async function knownValues(
  kind: ValueKind,
  context: CommandContext,
  options: { withinMs: number },
): Promise<readonly KnownValue[]> {
  const signal = AbortSignal.timeout(options.withinMs)
  const late = new Promise<readonly KnownValue[]>((resolve) => {
    signal.addEventListener('abort', () => resolve([]), { once: true })
  })
  // Whatever goes wrong, there is nothing to offer: the command itself will tell what is wrong.
  const asked = sources[kind](context, signal).catch(() => [])
  return Promise.race([asked, late])
}

/** A context that says nothing, for the server that these words name. */
export function quietContext(named: { server: string | null; profile: string | null }): CommandContext {
  return createContext({ ...named, ...plainVoice({ quiet: true, json: true }) }, new AbortController().signal)
}

type Source = (context: CommandContext, signal: AbortSignal) => Promise<readonly KnownValue[]>

const sources: Readonly<Record<ValueKind, Source>> = {
  async batch(context, signal) {
    const page = await (await context.client()).batches.list({ limit: RECENT_MAX, signal })
    return page.data.map(({ id, status, request_counts: counts }) => ({
      value: id,
      says: `${status}, ${counts?.total ?? 0} requests`,
    }))
  },
  async file(context, signal) {
    const page = await (await context.client()).files.list({ purpose: null, limit: RECENT_MAX, signal })
    return page.data.map(({ id, filename }) => ({ value: id, says: filename }))
  },
  async model(context, signal) {
    const models = await (await context.client()).models.list(signal)
    return models.map(({ id, owned_by }) => ({ value: id, says: owned_by ?? '' }))
  },
  async profile({ env }) {
    return Object.entries(readProfiles(env).profiles).map(([value, { url }]) => ({ value, says: url }))
  },
  async upstream(context) {
    const upstreams = await (await context.admin()).admin.upstreams.list()
    return upstreams.map(({ name, url }) => ({ value: name, says: url }))
  },
  async key(context) {
    const keys = await (await context.admin()).admin.keys.list()
    return keys.map(({ id, name }) => ({ value: id, says: name }))
  },
  async schema() {
    const { schemaNames, summaryOfSchema } = await import('./schemas/schemas.ts')
    return schemaNames.map((name) => ({ value: name, says: summaryOfSchema(name) }))
  },
  async topic() {
    const firstWords = new Set(commands.map(({ path }) => path[0] ?? ''))
    return [
      ...Object.entries(topics).map(([value, says]) => ({ value, says })),
      ...[...firstWords].map((value) => ({ value, says: 'command' })),
    ]
  },
  // The shell itself knows files.
  path: async () => [],
}
