/** Where a process spends its time: profiles that V8 writes for each thread as the process ends, summed by what the code is for. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

type ProfileNode = {
  id: number
  callFrame: { functionName: string; url: string }
  children?: readonly number[]
}

/** Format of V8's `.cpuprofile`: instants and deltas in µs of the system's monotonic clock. */
type CpuProfile = {
  nodes: readonly ProfileNode[]
  startTime: number
  samples: readonly number[]
  timeDeltas: readonly number[]
}

/** Flags that make a process and each of its threads write a profile into the folder when it ends. */
export function profileFlags(folder: string): string {
  return `--cpu-prof --cpu-prof-interval=500 --cpu-prof-dir=${folder}`
}

export type Span = { fromMicros: number; toMicros: number }

type Frame = ProfileNode['callFrame']

/** The part that a function belongs to; null: to that of its caller. */
export type PartOf = (frame: Frame) => string | null

/** The same clock as the profiles of other processes on this machine. */
export function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** Busy time of each part of the main thread within the span, as shares of 1. */
export function mainThreadShares(folder: string, span: Span, partOf: PartOf): Map<string, number> {
  // Named by date, time, process, thread and number; the main thread is 0. A process that replaced itself has left an earlier one.
  const name = readdirSync(folder)
    .filter((file) => /^CPU\.\d+\.\d+\.\d+\.0\.\d+\.cpuprofile$/.test(file))
    .toSorted()
    .at(-1)
  if (name === undefined) throw new Error(`no profile of a main thread in ${folder}`)
  // V8 wrote it.
  const profile = JSON.parse(readFileSync(join(folder, name), 'utf8')) as CpuProfile
  const parts = partsOfNodes(profile, partOf)
  const micros = new Map<string, number>()
  let busy = 0
  let at = profile.startTime
  for (const [place, sample] of profile.samples.entries()) {
    const delta = profile.timeDeltas[place] ?? 0
    at += delta
    const part = parts.get(sample)
    if (part === undefined || part === IDLE || at < span.fromMicros || at > span.toMicros) continue
    micros.set(part, (micros.get(part) ?? 0) + delta)
    busy += delta
  }
  if (busy === 0) throw new Error(`the profile in ${folder} has no busy time in the span`)
  return new Map([...micros].map(([part, spent]) => [part, spent / busy]))
}

const IDLE = '(idle)'

function partsOfNodes(profile: CpuProfile, partOf: PartOf): Map<number, string> {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]))
  const parts = new Map<number, string>()
  const visit = (node: ProfileNode, callerPart: string): void => {
    const isIdle = node.callFrame.functionName === IDLE
    const part = isIdle ? IDLE : (partOf(node.callFrame) ?? callerPart)
    parts.set(node.id, part)
    for (const id of node.children ?? []) {
      const child = byId.get(id)
      if (child !== undefined) visit(child, part)
    }
  }
  const [root] = profile.nodes
  if (root !== undefined) visit(root, IDLE)
  return parts
}
