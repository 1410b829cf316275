import type { CommandContext } from '../command.ts'
import { answerChecks, type Probe } from '../doctor/answer-checks.ts'
import { type Check, type CheckResult, runChecks, type Status } from '../doctor/checks.ts'
import { configCheck, dataFolderCheck, freeSpaceOf, nodeCheck } from '../doctor/local-checks.ts'
import { networkChecks } from '../doctor/network-checks.ts'
import { serverChecks } from '../doctor/server-checks.ts'
import { type ExitName, exitCode } from '../exit-codes.ts'
import { baseUrlOf, type Setup } from '../layers.ts'
import type { View } from '../output.ts'
import { maskedKey } from '../profiles.ts'
import { isSameHost } from '../target.ts'
import { foundServers } from '../user-files.ts'

/** Prints each check as soon as it is made; with --quiet only what failed, on standard error, so that a probe of a container is silent. */
export async function run(context: CommandContext): Promise<number> {
  const { output } = context
  const results: CheckResult[] = []
  for await (const result of runChecks(checksFor(context))) {
    results.push(result)
    if (output.isQuiet) {
      if (result.status === 'fail') output.warn(`${result.check}: ${result.message}. ${result.fix}`)
    } else if (output.format === 'table') for (const line of linesOf(result)) output.line(line)
    else output.object(result, view)
  }
  const failures = results.filter(({ status }) => status === 'fail')
  const [first] = failures
  if (first === undefined) return exitCode('ok')
  output.say(`Failed: ${failures.map(({ check }) => check).join(', ')}.`)
  return exitCode(exits[first.check] ?? 'unexpected')
}

/** Of several failures the first counts: the rest often follows from it. */
const exits: Partial<Record<CheckResult['check'], ExitName>> = {
  config: 'usage',
  dns: 'unreachable',
  tcp: 'unreachable',
  tls: 'unreachable',
  http: 'unreachable',
  auth: 'notAllowed',
  server: 'unreachable',
}

const view: View<CheckResult> = {
  id: ({ check }) => check,
  columns: [
    { title: 'Check', value: ({ check }) => check },
    { title: 'Status', value: ({ status }) => status },
    { title: 'Message', value: ({ message }) => message },
    { title: 'Fix', value: ({ fix }) => fix ?? '' },
  ],
}

const CHECK_COLUMNS = 12
const STATUS_COLUMNS = 8

function linesOf({ check, status, message, fix }: CheckResult): string[] {
  const shown: Record<Status, string> = {
    ok: 'ok',
    warn: 'WARN',
    fail: 'FAIL',
    skipped: 'skipped',
    unknown: 'unknown',
  }
  const line = `${shown[status].padEnd(STATUS_COLUMNS)}${check.padEnd(CHECK_COLUMNS)}${message}`
  return fix === null ? [line] : [line, `${' '.repeat(STATUS_COLUMNS + CHECK_COLUMNS)}fix: ${fix}`]
}

function checksFor(context: CommandContext): Check[] {
  const read = (): Setup => context.setup()
  const setup = setupOrNull(read)
  const first = [configCheck(read, context.env), nodeCheck]
  if (setup === null || setup.target === null) return first
  const { target, keyOrigin } = setup
  const probe: Probe = {
    baseUrl: baseUrlOf(target),
    key: target.key,
    keyWords: `${maskedKey(target.key) ?? ''} (${keyOrigin?.where ?? 'nowhere'})`,
    answer: null,
  }
  const dataDir = (): string | null =>
    foundServers(context.env).find(({ url }) => isSameHost(url, target.url))?.dataDir ?? null
  return [
    ...first,
    ...networkChecks({ baseUrl: probe.baseUrl, hasKey: target.key !== null }),
    ...answerChecks(probe),
    ...serverChecks({ probe, admin: () => context.admin(), freeSpace: () => freeSpaceOf(dataDir()) }),
    dataFolderCheck(dataDir),
  ]
}

/** What is wrong with it is told by its own check. */
function setupOrNull(read: () => Setup): Setup | null {
  try {
    return read()
  } catch {
    return null
  }
}
