/**
 * A preload for the server process: file calls below its data folder fail as the file named by `DW_TORTURE_FAULTS` says. The main
 * thread reads that file, and writes the number of the plan that it took into one of the same name with `.taken`; all threads share
 * one countdown, so that the n-th call is the n-th of the process. When the fault strikes, a file with `.struck` appears.
 */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads'

/** In the control file, as JSON. */
export type FaultPlan = {
  number: number
  kind: FaultKind
  /** Position of the call, from 1, counted from the moment in which the plan is read. */
  at: number
}

export const faultKinds = [
  'full',
  'broken',
  'short',
  'sync',
  'unsynced',
  'killed-before',
  'killed-after',
] as const
/**
 * full: no space for a while. broken: one call fails. short: one write takes half. sync: one sync fails.
 * unsynced: the defect, says yes to a sync that fails. killed: the process is, before the call or after it.
 */
export type FaultKind = (typeof faultKinds)[number]

/** How long a full disk stays full. */
const FULL_MS = 300
const LOOK_MS = 5
const KEY = 'dw-torture-faults'
/** Cells of the shared memory. */
const KIND = 0
const LEFT = 1
const FULL_UNTIL = 2

const path = process.env.DW_TORTURE_FAULTS
if (path !== undefined) install(path)

function install(control: string): void {
  if (isMainThread) setEnvironmentData(KEY, new Int32Array(new SharedArrayBuffer(12)))
  // The main thread put it there before it started any other.
  const cells = getEnvironmentData(KEY) as Int32Array
  const real = { ...fs }
  const files = new Set<number>()
  const startedAt = Date.now()
  const isOurs = (name: unknown): boolean =>
    String(name).includes('/data/') && !String(name).includes('.sqlite')

  const struck = (): void => real.writeFileSync(`${control}.struck`, '')
  const failed = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code })
  const isFull = (): boolean => Date.now() - startedAt < Atomics.load(cells, FULL_UNTIL)
  /** Counts a call. @returns the fault that strikes it, or null */
  const next = (call: 'write' | 'sync' | 'other'): FaultKind | null => {
    const kind = faultKinds[Atomics.load(cells, KIND) - 1]
    if (kind === undefined) return null
    const isPending = Atomics.load(cells, LEFT) > 0
    const isMeant =
      kind === 'sync' || kind === 'unsynced' ? call === 'sync' : kind === 'short' ? call === 'write' : true
    if (isPending && isMeant && Atomics.sub(cells, LEFT, 1) === 1) {
      if (kind === 'full') Atomics.store(cells, FULL_UNTIL, Date.now() - startedAt + FULL_MS)
      struck()
      return kind
    }
    if (isFull() && call !== 'sync') return kind
    return null
  }
  const die = (): void => void process.kill(process.pid, 'SIGKILL')
  /** The call, or what strikes it. */
  const struckBy = <T>(call: 'write' | 'sync' | 'other', act: (fault: FaultKind | null) => T): T => {
    const fault = next(call)
    if (fault === 'killed-before') die()
    if (fault === 'full' && call !== 'sync') throw failed('ENOSPC')
    if (fault === 'broken' || fault === 'sync') throw failed('EIO')
    const value = act(fault)
    if (fault === 'killed-after') die()
    return value
  }

  fs.openSync = (name, flags, mode) => {
    const open = (): number => real.openSync(name, flags, mode)
    const file = isOurs(name) && flags !== 'r' ? struckBy('other', open) : open()
    if (isOurs(name)) files.add(file)
    else files.delete(file)
    return file
  }
  fs.closeSync = (file) => {
    files.delete(file)
    real.closeSync(file)
  }
  // One of its forms is all that the product uses.
  fs.writeSync = ((file: number, bytes: Uint8Array, from: number, length: number, at: number): number => {
    const write = (taken: number): number => real.writeSync(file, bytes, from, taken, at)
    if (!files.has(file)) return write(length)
    return struckBy('write', (fault) => write(fault === 'short' && length > 1 ? length >> 1 : length))
  }) as typeof fs.writeSync
  const syncing = (sync: (file: number) => void) => (file: number) => {
    if (!files.has(file)) return sync(file)
    struckBy('sync', (fault) => {
      if (fault !== 'unsynced') sync(file)
    })
  }
  fs.fdatasyncSync = syncing(real.fdatasyncSync)
  fs.fsyncSync = syncing(real.fsyncSync)
  fs.ftruncateSync = (file, length) => {
    const truncate = (): void => real.ftruncateSync(file, length)
    if (files.has(file)) struckBy('other', truncate)
    else truncate()
  }
  fs.renameSync = (from, to) => {
    const rename = (): void => real.renameSync(from, to)
    if (isOurs(to)) struckBy('other', rename)
    else rename()
  }
  syncBuiltinESMExports()
  if (isMainThread) watch(control, cells)
}

function watch(control: string, cells: Int32Array): void {
  let last = -1
  setInterval(() => {
    const plan = JSON.parse(fs.readFileSync(control, 'utf8') || '{"number":0}') as FaultPlan
    if (plan.number === last) return
    last = plan.number
    Atomics.store(cells, LEFT, plan.at)
    Atomics.store(cells, KIND, plan.at === 0 ? 0 : faultKinds.indexOf(plan.kind) + 1)
    fs.writeFileSync(`${control}.taken`, String(plan.number))
  }, LOOK_MS).unref()
}
