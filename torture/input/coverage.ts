/** Which blocks of the product's code have run, as the engine counts them: an input that reaches a new one is worth keeping. */
import { Session } from 'node:inspector/promises'

type Block = { start: number; end: number }
/** Of one function; the engine leaves out a block that ran as often as the one around it, so those met once are remembered. */
type Known = Map<string, Block>

export type Coverage = {
  /** @returns the blocks that ran since the last look */
  look(): Promise<ReadonlySet<string>>
  stop(): void
}

/** @param pattern of the addresses of modules that count */
export async function startCoverage(pattern: RegExp): Promise<Coverage> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  const functions = new Map<string, Known>()
  return {
    async look() {
      // Counts begin again with each look.
      const { result } = await session.post('Profiler.takePreciseCoverage')
      const ran = new Set<string>()
      for (const script of result) {
        if (!pattern.test(script.url)) continue
        for (const { ranges } of script.functions) {
          const name = `${script.scriptId} ${ranges[0]?.startOffset}`
          const known = functions.get(name) ?? new Map<string, Block>()
          functions.set(name, known)
          for (const { startOffset: start, endOffset: end } of ranges)
            known.set(`${start} ${end}`, { start, end })
          for (const [key, block] of known)
            if (timesOf(block, ranges) > 0) ran.add(`${script.scriptId} ${key}`)
        }
      }
      return ran
    },
    stop: () => session.disconnect(),
  }
}

/** Ranges come from the outside in: the last one around the block is its own, or ran as often. */
function timesOf(
  block: Block,
  ranges: readonly { startOffset: number; endOffset: number; count: number }[],
): number {
  let times = 0
  for (const { startOffset, endOffset, count } of ranges)
    if (startOffset <= block.start && endOffset >= block.end) times = count
  return times
}
