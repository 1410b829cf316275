/** Processes that a benchmark measures, and what the system says about them (Linux, `/proc`). */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { UpstreamOrder, UpstreamReport } from './instant-upstream.ts'
import type { Pace } from './upstream-pace.ts'

export type ChildServer = {
  /** `http://127.0.0.1:PORT` */
  origin: string
  pid: number
  stop(): Promise<void>
}

export type BenchUpstream = ChildServer & {
  report(): Promise<UpstreamReport>
  /** Forgets the first call and the refills so far. */
  mark(): Promise<void>
  /** What is left out is instant and without bound. */
  set(pace: Partial<Pace>, textBytes?: number): Promise<void>
}

export async function startInstantUpstream(): Promise<BenchUpstream> {
  const { child, server } = await startChild('instant-upstream.ts', [])
  let last: Promise<unknown> = Promise.resolve()
  // One after the other: a report does not say which order it answers.
  const order = (wanted: UpstreamOrder): Promise<UpstreamReport> => {
    const report = last.then(async () => {
      const message = nextMessage(child)
      child.send(wanted)
      // Both ends are ours: each order has one report.
      return (await message) as UpstreamReport
    })
    last = report
    return report
  }
  return {
    ...server,
    report: () => order({ order: 'report' }),
    async mark() {
      await order({ order: 'mark' })
    },
    async set(pace, textBytes) {
      await order({ order: 'set', pace, textBytes: textBytes ?? null })
    },
  }
}

export async function startFileServer(folder: string): Promise<ChildServer> {
  return (await startChild('bare-file-server.ts', [folder])).server
}

async function startChild(
  file: string,
  words: readonly string[],
): Promise<{ child: ChildProcess; server: ChildServer }> {
  const child = fork(join(import.meta.dirname, file), words)
  // Both ends are ours: the first message names the port.
  const { port } = (await nextMessage(child)) as { port: number }
  const server: ChildServer = {
    origin: `http://127.0.0.1:${port}`,
    // A forked child that has sent a message has a pid.
    pid: child.pid as number,
    async stop() {
      if (!child.connected) return
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
  return { child, server }
}

async function nextMessage(child: ChildProcess): Promise<unknown> {
  const [message] = await once(child, 'message')
  return message
}

/** Highest resident memory of the process so far, MB; since `forgetMemoryPeak` where that was called. */
export function memoryPeakMb(pid: number): number {
  return statusMb(pid, 'VmHWM')
}

export function memoryNowMb(pid: number): number {
  return statusMb(pid, 'VmRSS')
}

/** The peak starts again from what is resident now. */
export function forgetMemoryPeak(pid: number): void {
  // Required by proc(5): 5 resets the peak resident set size.
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

function statusMb(pid: number, field: string): number {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1] ?? Number.NaN) / 1024
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

export type ProcessorSeconds = { main: number; all: number }

/** Processor time so far of the process's main thread, and of all its threads. */
export function processorSeconds(pid: number): ProcessorSeconds {
  return { main: statSeconds(`/proc/${pid}/task/${pid}/stat`), all: statSeconds(`/proc/${pid}/stat`) }
}

/** What the system's clock is too coarse to count is half a tick of it. */
export function processorSecondsSince(pid: number, before: ProcessorSeconds): ProcessorSeconds {
  const now = processorSeconds(pid)
  const atLeast = 0.5 / ticksPerSecond
  return { main: Math.max(now.main - before.main, atLeast), all: Math.max(now.all - before.all, atLeast) }
}

function statSeconds(path: string): number {
  const stat = readFileSync(path, 'utf8')
  // The name in parentheses may hold blanks; user and system time are the 12th and 13th field behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}
