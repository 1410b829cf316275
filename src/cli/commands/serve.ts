import { type RunningServer, startServer } from '../../server.ts'
import { type ConfigFlags, readServerConfig } from '../../server-config.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { exitCode } from '../exit-codes.ts'
import { formatNumber } from '../format.ts'
import type { Output } from '../output.ts'
import { flagOption, integerOption, textOption } from './input.ts'

const PORT_MAX = 65_535

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output, env, isJsonAsked } = context
  const config = readServerConfig({ file: textOption(input, 'config'), flags: flagsOf(input), env })
  const server = await startServer(config, { mayMovePort: textOption(input, 'port') === null, env })
  // Whoever reads that the server is ready may stop it at once.
  const signalled = untilSignal()
  if (isJsonAsked) output.json(readyFacts(server))
  else tellReady(server, output)
  await signalled
  output.say('Stopping: requests in flight are waited for, a second Ctrl-C ends at once.')
  process.once('SIGINT', () => process.exit(exitCode('interrupted')))
  const { unfinishedBatches } = await server.stop()
  output.say(
    unfinishedBatches === 0
      ? 'Stopped. No batch is unfinished.'
      : `Stopped. ${formatNumber(unfinishedBatches, 'batch', 'batches')} unfinished: the same command goes on with them.`,
  )
  return 0
}

function tellReady(server: RunningServer, output: Output): void {
  output.line(`ready   ${server.url}`)
  output.line(`api     ${server.url}/v1`)
  output.line(`data    ${server.dataDir}`)
  if (server.isSimulated)
    output.line('engine  the SIMULATED model only (sim/chat, …): no real model is called')
  if (server.firstKey !== null) {
    output.line(`key     ${server.firstKey}`)
    output.say('The key is shown only this once. Keep it; `dw keys create` makes more.')
  }
  output.line(`next    ${nextCommand(server)}`)
}

/** The same for programs. */
function readyFacts({ url, dataDir, isSimulated, firstKey }: RunningServer) {
  return {
    object: 'server',
    url,
    api_url: `${url}/v1`,
    data_dir: dataDir,
    simulated: isSimulated,
    key: firstKey,
  }
}

function flagsOf(input: CommandInput): ConfigFlags {
  const host = textOption(input, 'host')
  const dataDir = textOption(input, 'dataDir')
  const database = textOption(input, 'database')
  const port = integerOption(input, 'port', { min: 0, max: PORT_MAX })
  const { sim } = input.options
  return {
    ...(host === null ? {} : { host }),
    ...(dataDir === null ? {} : { dataDir }),
    ...(database === null ? {} : { database }),
    ...(port === null ? {} : { port }),
    ...(flagOption(input, 'requireKey') ? { isKeyRequired: true } : {}),
    ...(sim === true ? { simulated: 'on' as const } : sim === false ? { simulated: 'off' as const } : {}),
  }
}

function nextCommand(server: { isSimulated: boolean }): string {
  return server.isSimulated
    ? 'dw upstream add http://localhost:8000/v1   (or try: dw batches run examples/mixed.jsonl --watch)'
    : 'dw batches run requests.jsonl --watch'
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}
