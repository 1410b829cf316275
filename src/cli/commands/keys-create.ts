import { windowMs } from '../../domain/window.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { textOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const name = textOption(input, 'name')
  if (name === null)
    throw usageError(
      'A key needs a name: --name NAME says what it is for.',
      'For example: dw keys create --name ci',
    )
  const tenant = textOption(input, 'tenant')
  const expiresIn = textOption(input, 'expiresIn')
  const lifeMs = expiresIn === null ? null : windowMs(expiresIn)
  if (expiresIn !== null && lifeMs === null)
    throw usageError(`--expires-in takes a duration such as 30d or 12h, not '${expiresIn}'.`)
  const admin = await context.admin()
  const key = await admin.admin.keys.create({
    name,
    ...(tenant === null ? {} : { tenant }),
    ...(lifeMs === null ? {} : { expires_at: Math.ceil((Date.now() + lifeMs) / 1000) }),
  })
  if (output.format === 'json') output.json(key)
  else output.line(key.key ?? '')
  output.say(
    `Key ${key.id} of tenant ${key.tenant}. It is shown only this once. From now on every request to the server needs a key.`,
  )
  output.say('next: export DW_API_KEY=…, or dw login URL --key-stdin')
  return 0
}
