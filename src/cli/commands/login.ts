import { text } from 'node:stream/consumers'
import { createClient, normaliseBaseUrl } from '../../client/client.ts'
import { CliError, usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { configPath, readProfiles, writeProfiles } from '../user-files.ts'
import { argument, flagOption, textOption } from './input.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output, env } = context
  const given = argument(input, 0)
  if (!URL.canParse(given))
    throw usageError(`'${given}' is no URL.`, 'It needs the form https://host, with or without /v1.')
  const url = normaliseBaseUrl(given)
  // Read first: a file that is damaged is not overwritten, and a key is not asked for in vain.
  const known = readProfiles(env)
  const key = await readKey(context, flagOption(input, 'keyStdin'))
  const models = await createClient({ baseUrl: url, apiKey: key, userAgent: 'dw' }).models.list(
    context.signal,
  )
  const name = textOption(input, 'name') ?? new URL(url).host
  writeProfiles(env, { active: name, profiles: { ...known.profiles, [name]: { url, key } } })
  output.say(`Logged in to ${url} as profile '${name}' (${configPath(env)}); ${models.length} models.`)
  return 0
}

async function readKey(context: CommandContext, isFromStdin: boolean): Promise<string | null> {
  if (isFromStdin) {
    const key = (await text(process.stdin)).trim()
    if (key === '') throw usageError('Standard input held no key.')
    return key
  }
  const given = context.env.DW_API_KEY
  if (given !== undefined && given !== '') return given
  if (!context.isInteractive) return null
  const { password, isCancel } = await import('@clack/prompts')
  const answer = await password({ message: 'Key (empty for a server without keys)', output: process.stderr })
  if (isCancel(answer)) throw new CliError('interrupted', 'Nothing was stored.', { exit: 'interrupted' })
  return answer === undefined || answer === '' ? null : answer
}
