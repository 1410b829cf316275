/**
 * `npm run demo`: the whole job in one go, on a server of its own in a temporary folder, with the simulated model.
 *
 * Runs a file of varied requests of which a few fail on purpose, shows progress, failures by group and analytics, retries what
 * failed, and keeps the results in a folder that it names. Ends by itself: exit 0, and nothing keeps running.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import {
  createSandbox,
  dwPath,
  projectFolder,
  type ServerProcess,
  startServerProcess,
} from '../test/kit/server-process.ts'

const EXAMPLE = join('examples', 'mixed.jsonl')
/** Finished, but some requests failed: the file holds such requests on purpose. */
const SOME_FAILED = 3

/** The command that runs now, if any. */
let command: ChildProcess | null = null

type Demo = { env: NodeJS.ProcessEnv; server: ServerProcess; results: string }

async function main(): Promise<void> {
  const startedMs = performance.now()
  const sandbox = createSandbox()
  const results = mkdtempSync(join(tmpdir(), 'dw-demo-'))
  let server: ServerProcess | null = null
  const interrupted = (): void => process.exit(130)
  // Nothing may outlive a demo that is cut short.
  process.once('exit', () => {
    command?.kill('SIGKILL')
    void server?.kill('SIGKILL')
    sandbox.remove()
  })
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  try {
    say('A server with embedded storage and the simulated model, in a temporary folder:')
    show('dw serve --sim')
    server = await startServerProcess(sandbox, ['--sim'])
    for (const line of server.log) console.log(`  ${line}`)
    await tour({ env: { ...sandbox.env, DW_SERVER: server.url }, server, results })
    const exitCode = await server.stop()
    if (exitCode !== 0) throw new Error(`the server ended with ${exitCode}\n${server.log.join('\n')}`)
    say(
      `Done in ${((performance.now() - startedMs) / 1000).toFixed(0)} s. The server has stopped. Your results:`,
    )
    console.log(`  ${results}`)
  } finally {
    await server?.kill('SIGKILL')
    sandbox.remove()
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
  }
}

async function tour({ env, results }: Demo): Promise<void> {
  const input = lineCount(join(projectFolder, EXAMPLE))
  say(
    `Run ${input} requests. A few of them fail on purpose, so the command ends with exit code ${SOME_FAILED}:`,
  )
  const firstIds = join(results, 'first-batch.txt')
  await dw(env, ['batches', 'run', EXAMPLE, '--watch', '--output-id', firstIds], { expected: SOME_FAILED })
  const first = readId(firstIds)

  say('How did it go?')
  await dw(env, ['batches', 'analytics', first, '--output', 'table'])

  say('Retry only what failed, as a new batch:')
  const retried = await dw(env, ['batches', 'retry', first, '--json'], { isCaptured: true })
  const second = idIn(retried)
  await dw(env, ['batches', 'watch', second], { expected: SOME_FAILED })

  say('Fetch the answers of both; what still fails stands beside them:')
  const [firstAnswers, secondAnswers] = [
    join(results, 'answers.jsonl'),
    join(results, 'answers-of-retry.jsonl'),
  ]
  await dw(env, ['batches', 'results', first, '-o', firstAnswers], { expected: SOME_FAILED })
  await dw(env, ['batches', 'results', second, '-o', secondAnswers], { expected: SOME_FAILED })

  const answered = lineCount(firstAnswers) + lineCount(secondAnswers)
  const failed = lineCount(join(results, 'answers-of-retry.errors.jsonl'))
  if (answered + failed !== input)
    throw new Error(`${answered} answers and ${failed} failures of ${input} requests`)
  say(`${answered} answered + ${failed} failed for good = ${input} requests: not one lost, not one doubled.`)
}

/** Runs one command as a person would see it. @returns its standard output where captured */
async function dw(
  env: NodeJS.ProcessEnv,
  words: readonly string[],
  options: { expected?: number; isCaptured?: boolean } = {},
): Promise<string> {
  const { expected = 0, isCaptured = false } = options
  show(
    ['dw', ...words]
      .map((word) => (word.startsWith(projectFolder) ? relative(projectFolder, word) : word))
      .join(' '),
  )
  // Progress stands on stderr. The JSON that `run` and `watch` print on stdout is for programs, not for this audience.
  const isData = words[1] === 'run' || words[1] === 'watch'
  const child = spawn(process.execPath, [dwPath, ...words], {
    cwd: projectFolder,
    env,
    stdio: ['inherit', isCaptured || isData ? 'pipe' : 'inherit', 'inherit'],
  })
  command = child
  const chunks: Buffer[] = []
  child.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk))
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  command = null
  if (exitCode !== expected)
    throw new Error(`dw ${words.join(' ')} ended with ${exitCode}, expected ${expected}`)
  if (expected !== 0) console.log(`  (exit ${expected}, as expected)`)
  return Buffer.concat(chunks).toString('utf8')
}

function idIn(text: string): string {
  const id = /batch_[a-z0-9]+/.exec(text)?.[0]
  if (id === undefined) throw new Error(`no batch id in: ${text}`)
  return id
}

function readId(path: string): string {
  return idIn(readFileSync(path, 'utf8'))
}

function lineCount(path: string): number {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '').length
}

function say(text: string): void {
  console.log(`\n${text}`)
}

function show(command: string): void {
  console.log(`  $ ${command}`)
}

await main()
