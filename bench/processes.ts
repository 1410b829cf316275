/** Processes that a benchmark measures, and what the system says about them (Linux, `/proc`). */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { UpstreamMessage } from './instant-upstream.ts'

export type InstantUpstream = {
  /** Without `/v1`. */
  origin: string
  pid: number
  /** POST requests answered so far. */
  answered(): Promise<number>
  stop(): Promise<void>
}

export async function startInstantUpstream(): Promise<InstantUpstream> {
  const child = fork(join(import.meta.dirname, 'instant-upstream.ts'))
  const first = await nextMessage(child)
  if (!('port' in first)) throw new Error('the upstream did not tell its port')
  return {
    origin: `http://127.0.0.1:${first.port}`,
    // A forked child that has sent a message has a pid.
    pid: child.pid as number,
    async answered() {
      child.send('count')
      const message = await nextMessage(child)
      return 'answered' in message ? message.answered : 0
    },
    async stop() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

async function nextMessage(child: ChildProcess): Promise<UpstreamMessage> {
  // Both ends are ours; the channel carries nothing else.
  const [message] = (await once(child, 'message')) as [UpstreamMessage]
  return message
}

/** Highest resident memory of the process so far, MB. */
export function memoryPeakMb(pid: number): number {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(peak?.[1] ?? Number.NaN) / 1024
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Processor time of the process and its threads so far, seconds. */
export function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The name in parentheses may hold blanks; user and system time are the 12th and 13th field behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}
