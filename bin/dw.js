#!/usr/bin/env node
// Plain old JavaScript on purpose: it must run on a Node that is too old for the rest, start itself again on the one that
// the checkout carries, and say one clear sentence when there is none.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NODE_MAJOR_MIN = 22
const NODE_MINOR_MIN = 18

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isNewEnough = major > NODE_MAJOR_MIN || (major === NODE_MAJOR_MIN && minor >= NODE_MINOR_MIN)

if (isNewEnough) await runHere()
else runOnBundledNode()

async function runHere() {
  // Compiled code is kept between starts: a third of the start-up time, and a type stripper less in memory for each thread.
  module.enableCompileCache?.()
  process.env.NODE_COMPILE_CACHE ??= module.getCompileCacheDir?.()
  if (process.argv[2] === 'serve') becomeServer()
  // A checkout runs its sources, whatever was compiled before; the package has only what was compiled.
  const source = join(root, 'src', 'cli', 'main.ts')
  const { main } = await import(existsSync(source) ? source : join(root, 'dist', 'cli', 'main.js'))
  process.exitCode = await main(process.argv.slice(2))
}

/**
 * The server lives long and makes much short-lived garbage. Left alone, the heap grows to what the machine has; these two keep
 * it near what is in use, and two pools of memory for all threads instead of one each keep glibc near it. They count only from
 * the start of a process, so this one replaces itself, under the same number. Figures: docs/decisions/0006-server-memory.md.
 */
function becomeServer() {
  const flags = ['--max-semi-space-size=8', '--heap-growing-percent=60']
  if (process.execve === undefined || flags.every((flag) => process.execArgv.includes(flag))) return
  const words = [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    ...flags,
    ...process.argv.slice(1),
  ]
  process.execve(process.execPath, words, { MALLOC_ARENA_MAX: '2', ...process.env })
}

function runOnBundledNode() {
  const bundled = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  if (!existsSync(bundled)) {
    console.error(
      `dw needs Node ${NODE_MAJOR_MIN}.${NODE_MINOR_MIN} or newer, and this is ${process.versions.node}: install a newer Node.`,
    )
    process.exitCode = 1
    return
  }
  const child = spawn(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  // The child decides what signals mean, and this process ends as the child did. A terminal's Ctrl-C reaches both by itself.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    console.error(`dw cannot start ${bundled}: ${error.message}`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}
