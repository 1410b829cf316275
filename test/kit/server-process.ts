/**
 * Runs the real program as processes: `dw serve` on a free port, and `dw …` as a person would type it, in a pipe or on a
 * pseudo-terminal. Each test gets a folder of its own; nothing of the caller's set-up (keys, servers, profiles) reaches it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { spawn as spawnOnTerminal } from '@lydell/node-pty'
import { isAgentVariable } from '../../src/cli/agent.ts'
import { testDatabase } from './deployment.ts'

export const projectFolder = fileURLToPath(new URL('../..', import.meta.url))
export const dwPath = join(projectFolder, 'bin', 'dw.js')

/** Longest time until the server says that it is ready. */
const READY_MS_MAX = 20_000
/** Longest time of one command. */
const COMMAND_MS_MAX = 120_000

export type Sandbox = {
  folder: string
  dataDir: string
  env: NodeJS.ProcessEnv
  /** A path inside the folder. */
  path(name: string): string
  /** Removes the folder. */
  remove(): void
}

/** A folder with its own home, configuration and state, and an environment without `OPENAI_*` and `DW_*` of the caller. */
export function createSandbox(): Sandbox {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  const env: NodeJS.ProcessEnv = {}
  for (const [name, value] of Object.entries(process.env)) {
    if (isAgentVariable(name)) continue
    if (!/^(OPENAI_|DW_|NODE_TEST_|NO_COLOR$|FORCE_COLOR$|CLICOLOR|PAGER$|CI$)/.test(name)) env[name] = value
  }
  const own = {
    HOME: 'home',
    XDG_CONFIG_HOME: 'config',
    XDG_STATE_HOME: 'state',
    XDG_DATA_HOME: 'share',
    XDG_CACHE_HOME: 'cache',
    DW_STATE_DIR: 'dw-state',
    // Starting the program from its sources many times over is most of what such a test does.
    NODE_COMPILE_CACHE: 'compiled',
  }
  for (const [name, part] of Object.entries(own)) {
    env[name] = join(folder, part)
    mkdirSync(join(folder, part), { recursive: true })
  }
  return {
    folder,
    dataDir: join(folder, 'data'),
    env,
    path: (name) => join(folder, name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/**
 * Writes a configuration with one upstream and without the simulated model.
 * @returns the flags that name it
 */
export function configFlags(
  sandbox: Sandbox,
  upstream: { url: string; concurrency: number },
  more = '',
): string[] {
  const path = sandbox.path('dw.toml')
  const engine = `name = "test"\nurl = "${upstream.url}"\nconcurrency = ${upstream.concurrency}\n`
  writeFileSync(path, `simulated = "off"\n${more}\n[[upstreams]]\n${engine}`)
  return ['--config', path]
}

export type ServerProcess = {
  /** Without `/v1`. */
  url: string
  pid: number
  /** All lines of stdout and stderr so far. */
  log: string[]
  /** It is not there any more, by a signal or by itself. */
  hasEnded(): boolean
  /** Sends the signal and waits for the end. @returns the exit code, or null after a signal */
  kill(signal: NodeJS.Signals): Promise<number | null>
  /** SIGTERM, unless it has ended. */
  stop(): Promise<number | null>
}

/**
 * Starts `dw serve` and waits for the line that names its address.
 * @param flags further flags, for example `['--sim']`. The port is free and the data folder the sandbox's unless they say otherwise.
 */
export async function startServerProcess(
  sandbox: Sandbox,
  flags: readonly string[] = [],
): Promise<ServerProcess> {
  const has = (flag: string): boolean => flags.includes(flag)
  const dataDir = has('--data-dir') ? (flags[flags.indexOf('--data-dir') + 1] ?? '') : sandbox.dataDir
  const database = has('--database') ? null : await testDatabase(dataDir)
  const words = [
    dwPath,
    'serve',
    ...(has('--port') ? [] : ['--port', '0']),
    ...(has('--data-dir') ? [] : ['--data-dir', dataDir]),
    ...(database === null ? [] : ['--database', database]),
    ...flags,
  ]
  const child = spawn(process.execPath, words, {
    cwd: sandbox.folder,
    env: sandbox.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const log: string[] = []
  const url = await readyAddress(child, log)
  const ended = once(child, 'close')
  // The child has a pid: it has printed.
  const pid = child.pid as number
  const kill = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await ended
    return child.exitCode
  }
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null
  return { url, pid, log, hasEnded, kill, stop: () => kill('SIGTERM') }
}

function readyAddress(child: ChildProcess, log: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      reject(new Error(`dw serve ${why}\n${log.join('\n')}`))
    }
    const onClose = (code: number | null, signal: string | null): void =>
      fail(`ended with ${code ?? signal} before it was ready`)
    const timer = setTimeout(() => fail(`was not ready within ${READY_MS_MAX} ms`), READY_MS_MAX)
    child.once('close', onClose)
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        log.push(line)
        const address = /https?:\/\/[\w.[\]:-]+:\d+/.exec(line)?.[0]
        if (address === undefined) return
        clearTimeout(timer)
        child.off('close', onClose)
        resolve(address)
      })
    }
  })
}

export type CommandResult = {
  exitCode: number
  stdout: string
  stderr: string
}

export type CommandOptions = {
  cwd?: string
  env?: NodeJS.ProcessEnv
  stdin?: string
  timeoutMs?: number
}

/** Runs `dw` with these words, not on a terminal, and waits for its end. An exit by signal is exit code -1. */
export function runDw(words: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return run(process.execPath, [dwPath, ...words], options)
}

/** Runs any program; `file` is found on the PATH of `options.env`. */
export function run(
  file: string,
  words: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, words, {
      cwd: options.cwd,
      env: options.env,
      stdio: 'pipe',
      timeout: options.timeoutMs ?? COMMAND_MS_MAX,
      killSignal: 'SIGKILL',
    })
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.stdin.on('error', () => {
      // A command that does not read its input may close it.
    })
    child.stdin.end(options.stdin ?? '')
    child.once('error', reject)
    child.once('close', (code) => {
      resolve({
        exitCode: code ?? -1,
        stdout: Buffer.concat(stdout).toString('utf8'),
        stderr: Buffer.concat(stderr).toString('utf8'),
      })
    })
  })
}

/**
 * Runs a program on a pseudo-terminal of 120 × 40.
 * @param options.answers typed one after the other, each as soon as the output so far ends in its `prompt`
 */
export function runOnTerminal(
  file: string,
  words: readonly string[],
  options: CommandOptions & { answers?: readonly { prompt: RegExp; type: string }[] } = {},
): Promise<{ exitCode: number; output: string }> {
  return new Promise((resolve) => {
    const terminal = spawnOnTerminal(file, [...words], {
      name: 'xterm-256color',
      cols: 120,
      rows: 40,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...(options.env ?? process.env), TERM: 'xterm-256color' },
    })
    const timer = setTimeout(() => terminal.kill('SIGKILL'), options.timeoutMs ?? COMMAND_MS_MAX)
    const answers = [...(options.answers ?? [])]
    let output = ''
    let answered = 0
    terminal.onData((data) => {
      output += data
      const next = answers[0]
      if (next === undefined || !next.prompt.test(output.slice(answered))) return
      answers.shift()
      answered = output.length
      terminal.write(next.type)
    })
    terminal.onExit(({ exitCode, signal }) => {
      clearTimeout(timer)
      resolve({ exitCode: signal === undefined || signal === 0 ? exitCode : -1, output })
    })
  })
}

/** The environment with a folder put first on the PATH. */
export function withPathFirst(env: NodeJS.ProcessEnv, ...folders: string[]): NodeJS.ProcessEnv {
  return { ...env, PATH: [...folders, env.PATH ?? ''].join(delimiter) }
}
