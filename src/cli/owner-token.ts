/** The owner's token of a server on this machine stands in its data folder, readable by its owner alone. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CliError } from './cli-error.ts'
import type { Setup } from './layers.ts'
import { filled, isOwnSecretFor, isSameHost } from './target.ts'
import { foundServers } from './user-files.ts'

/** @throws CliError `no_owner_token` */
export function ownerTokenFor(
  { target, active }: Pick<Setup, 'target' | 'active'>,
  env: NodeJS.ProcessEnv,
): string {
  const url = target?.url ?? ''
  const given = filled(env.DW_OWNER_TOKEN)
  if (given !== null && target !== null && isOwnSecretFor(url, target.layer, { env, active })) return given
  const server = foundServers(env).find((candidate) => isSameHost(candidate.url, url))
  if (server === undefined) {
    throw new CliError(
      'no_owner_token',
      `This needs the owner token of ${url}, which is no server found on this machine.`,
      {
        exit: 'notAllowed',
        hint:
          given === null
            ? 'Run the command on the machine of the server, or set DW_OWNER_TOKEN to the text of the file owner-token in its data folder.'
            : 'DW_OWNER_TOKEN is not for this server: name the server with DW_SERVER beside it.',
      },
    )
  }
  try {
    return readFileSync(join(server.dataDir, 'owner-token'), 'utf8').trim()
  } catch {
    throw new CliError(
      'no_owner_token',
      `The owner token in ${server.dataDir} cannot be read by this user.`,
      { exit: 'notAllowed', hint: 'Run the command as the user that runs the server.' },
    )
  }
}
