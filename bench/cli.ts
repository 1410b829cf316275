/** How long does a person wait for the command line? Starts it as a shell would, and watches the memory of the one that reads a large file. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { dwPath } from '../test/kit/server-process.ts'
import { REQUEST_BYTES } from './batch-run.ts'
import type { Benchmark, BenchOptions } from './benchmark.ts'
import { median } from './figures.ts'
import { memoryPeakMb } from './processes.ts'

/** Starts per figure and round; the median counts. */
const STARTS = 15
/** How often the memory of a running command is looked at. Its own peak only rises, so that little is missed at its end. */
const LOOK_MS = 20

export const cli: Benchmark = {
  name: 'cli',
  does: 'starts the command line, and validates a large file with it',
  unit: 'MB',
  full: { size: 1_000, rounds: 3 },
  smoke: { size: 4, rounds: 1 },
  rows: [
    {
      figure: 'versionMs',
      means: 'dw --version',
      unit: 'ms',
      target: { atMost: 120 },
      floor: 'bareNodeMs',
    },
    { figure: 'helpMs', means: 'dw --help', unit: 'ms', target: { atMost: 180 }, floor: 'bareNodeMs' },
    {
      figure: 'validateMbPerSecond',
      means: 'dw files validate',
      unit: 'MB/s',
      target: { atLeast: 300 },
    },
    {
      figure: 'validatePeakMb',
      means: 'dw files validate, resident',
      unit: 'MB',
      target: { atMost: 250 },
    },
  ],
  async *measure(options) {
    const { size, rounds, world } = options
    const file = await world.requestFile(Math.ceil((size * 1e6) / REQUEST_BYTES), REQUEST_BYTES)
    const starts = Math.min(STARTS, Math.max(2, size))
    for (let round = 0; round < rounds; round += 1) {
      const bareNodeMs = await medianMs(options, ['-e', '0'], starts)
      const versionMs = await medianMs(options, [dwPath, '--version'], starts)
      const helpMs = await medianMs(options, [dwPath, '--help'], starts)
      const validated = await runWatched(options, [dwPath, 'files', 'validate', file])
      yield {
        bareNodeMs,
        versionMs,
        helpMs,
        validateMbPerSecond: statSync(file).size / 1e6 / (validated.ms / 1000),
        validatePeakMb: validated.peakMb,
      }
    }
  },
}

/** The first start, which compiles, is not counted. */
async function medianMs(options: BenchOptions, words: readonly string[], starts: number): Promise<number> {
  const times: number[] = []
  for (let number = 0; number <= starts; number += 1) times.push((await runWatched(options, words)).ms)
  return median(times.slice(1))
}

async function runWatched(
  { world }: BenchOptions,
  words: readonly string[],
): Promise<{ ms: number; peakMb: number }> {
  const { env } = world.home
  const startedAt = performance.now()
  const child = spawn(process.execPath, words, { env, stdio: ['ignore', 'ignore', 'inherit'] })
  const exited = once(child, 'exit')
  let peakMb = Number.NaN
  const look = setInterval(() => {
    try {
      // NaN of a process that has ended and not been reaped.
      peakMb = memoryPeakMb(child.pid ?? 0) || peakMb
    } catch {
      // It has ended: what was seen last counts.
    }
  }, LOOK_MS)
  await exited
  const ms = performance.now() - startedAt
  clearInterval(look)
  if (child.exitCode !== 0) throw new Error(`${words.join(' ')} ended with ${child.exitCode}`)
  return { ms, peakMb }
}
