import type { CommandContext } from '../command.ts'
import { callerOf } from '../login-probe.ts'
import { maskedKey } from '../profiles.ts'

/** What the server tells, and what it does not tell as null. A call that any service has shows whether the key holds. */
export async function run(context: CommandContext): Promise<number> {
  const { output, signal } = context
  const client = await context.client()
  const models = await client.models.list(signal)
  const caller = await callerOf(client, signal)
  const { target, serverOrigin, keyOrigin } = context.setup()
  const shown = {
    server: client.baseUrl,
    server_origin: serverOrigin?.where ?? null,
    profile: target?.profile?.name ?? null,
    key: maskedKey(target?.key ?? null),
    key_origin: keyOrigin?.where ?? null,
    is_dw: await client.isDw(),
    tenant: caller?.tenant ?? null,
    access: caller?.access ?? null,
    key_id: caller?.key_id ?? null,
    models: models.length,
  }
  if (output.format === 'json') output.json(shown)
  else {
    output.line(`server   ${shown.server}  (${shown.server_origin})`)
    output.line(`profile  ${shown.profile ?? 'none'}`)
    output.line(`key      ${shown.key === null ? 'none' : `${shown.key}  (${shown.key_origin})`}`)
    output.line(`tenant   ${shown.tenant ?? 'unknown: the server does not tell'}`)
    output.line(`access   ${shown.access ?? 'unknown: the server does not tell'}`)
    output.line(`models   ${shown.models}`)
  }
  return 0
}
