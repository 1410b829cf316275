import type { CommandContext, CommandInput } from '../command.ts'
import { baseUrlOf, type Setup } from '../layers.ts'
import { configPath, maskedKey, namedProfiles } from '../profiles.ts'
import { foundServers, stateFolder } from '../user-files.ts'
import { flagOption } from './input.ts'

/** Keys are masked to their last four characters. */
export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output, env } = context
  const setup = context.setup()
  const { known, target, project } = setup
  const shown = {
    server: target === null ? null : baseUrlOf(target),
    active_profile: known.active,
    profiles: namedProfiles(known).map(({ name, url, key }) => ({ name, url, key: maskedKey(key) })),
    local_servers: foundServers(env).map(({ url, dataDir }) => ({ url, data_dir: dataDir })),
    config_file: configPath(env),
    state_folder: stateFolder(env),
    project_file: project?.path ?? null,
    settings: valuesOf(setup),
    notes: setup.notes,
  }
  if (output.format === 'json') {
    output.json(shown)
    return 0
  }
  const hasOrigin = flagOption(input, 'origin')
  for (const { name, value, layer, origin } of shown.settings)
    output.line(row(name, value ?? 'none', hasOrigin && layer !== null ? `${layer}: ${origin}` : ''))
  for (const profile of shown.profiles)
    output.line(
      row(
        profile.name === shown.active_profile ? 'profile *' : 'profile',
        profile.name,
        `${profile.url}  key ${profile.key ?? 'none'}`,
      ),
    )
  for (const server of shown.local_servers)
    output.line(row('local server', server.url, `data ${server.data_dir}`))
  output.line(row('config', shown.config_file))
  output.line(row('project', shown.project_file ?? 'none'))
  output.line(row('state', shown.state_folder))
  for (const note of shown.notes) output.say(note)
  return 0
}

type Value = { name: string; value: string | null; layer: string | null; origin: string | null }

/** What a command would use now, each with the place it comes from. Null: nothing sets it. */
function valuesOf({ target, serverOrigin, keyOrigin, settings }: Setup): Value[] {
  const placed = (origin: Setup['serverOrigin']): Pick<Value, 'layer' | 'origin'> => ({
    layer: origin?.layer ?? null,
    origin: origin?.where ?? null,
  })
  return [
    { name: 'server', value: target === null ? null : baseUrlOf(target), ...placed(serverOrigin) },
    { name: 'key', value: maskedKey(target?.key ?? null), ...placed(keyOrigin) },
    ...settings.map(({ name, value, origin }) => ({ name, value, ...placed(origin) })),
  ]
}

const NAME_COLUMNS = 19

function row(name: string, value: string, more = ''): string {
  return `${name.padEnd(NAME_COLUMNS)}${value}${more === '' ? '' : `  ${more}`}`
}
