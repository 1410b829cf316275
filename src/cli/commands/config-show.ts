import type { CommandContext } from '../command.ts'
import { configPath, foundServers, readProfiles, stateFolder } from '../user-files.ts'

/** Keys are masked to their last four characters. */
export async function run(context: CommandContext): Promise<number> {
  const { output, env } = context
  const { active, profiles } = readProfiles(env)
  const shown = {
    server: serverOrNull(context),
    active_profile: active,
    profiles: Object.entries(profiles).map(([name, { url, key }]) => ({
      name,
      url,
      key: key === null ? null : `…${key.slice(-4)}`,
    })),
    local_servers: foundServers(env).map(({ url, dataDir }) => ({ url, data_dir: dataDir })),
    config_file: configPath(env),
    state_folder: stateFolder(env),
  }
  if (output.format === 'json') output.json(shown)
  else {
    output.line(`server        ${shown.server ?? 'none'}`)
    output.line(`profile       ${active ?? 'none'}`)
    for (const profile of shown.profiles)
      output.line(`  ${profile.name}  ${profile.url}  key ${profile.key ?? 'none'}`)
    for (const server of shown.local_servers)
      output.line(`local server  ${server.url}  data ${server.data_dir}`)
    output.line(`config        ${shown.config_file}`)
    output.line(`state         ${shown.state_folder}`)
  }
  return 0
}

function serverOrNull(context: CommandContext): string | null {
  try {
    return context.serverUrl()
  } catch {
    // Showing the configuration must work without a server too.
    return null
  }
}
