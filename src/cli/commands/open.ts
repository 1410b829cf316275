/** Shows where something is, and opens it where there is a browser and somebody who looks at it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { CommandContext, CommandInput } from '../command.ts'
import type { View } from '../output.ts'

type Address = { object: 'address'; url: string; opened: boolean }

const addressView: View<Address> = {
  columns: [{ title: 'Address', value: ({ url }) => url }],
  id: ({ url }) => url,
}

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const id = input.arguments[0]?.trim() ?? ''
  const baseUrl = context.serverUrl()
  // An address that leads nowhere is worse than none.
  if (id !== '') await (await context.client()).batches.get(id, context.signal)
  const url = id === '' ? new URL('/', baseUrl).href : `${baseUrl}/batches/${encodeURIComponent(id)}`
  const hasKey = (context.setup().target?.key ?? null) !== null
  const program = context.isInteractive ? browserFor(url, context.env) : null
  // A browser does not send the key; it would show an error in place of the batch.
  const isOpened = program !== null && !(id !== '' && hasKey) && (await start(program))
  if (output.format === 'json') output.object({ object: 'address', url, opened: isOpened }, addressView)
  else output.line(url)
  if (id !== '' && hasKey) output.say('It is shown to those who send the key, which a browser does not.')
  return 0
}

/** @returns null where there is no screen */
function browserFor(url: string, env: NodeJS.ProcessEnv): string[] | null {
  if (env.SSH_CONNECTION !== undefined || env.SSH_TTY !== undefined) return null
  if (env.BROWSER !== undefined && env.BROWSER !== '') return [env.BROWSER, url]
  if (process.platform === 'darwin') return ['open', url]
  // Unlike `start` of its shell, this reads nothing in the address.
  if (process.platform === 'win32') return ['rundll32', 'url.dll,FileProtocolHandler', url]
  const hasScreen = [env.DISPLAY, env.WAYLAND_DISPLAY].some((name) => name !== undefined && name !== '')
  return hasScreen ? ['xdg-open', url] : null
}

async function start([program = '', ...given]: readonly string[]): Promise<boolean> {
  const child = spawn(program, given, { stdio: 'ignore', detached: true })
  try {
    await once(child, 'spawn')
    child.unref()
    return true
  } catch {
    // There is no such program: the address on the screen is what remains.
    return false
  }
}
