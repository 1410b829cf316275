/** Which blocks of the product's code have run, as the engine counts them: an input that reaches a new one is worth keeping. */
import { Session } from 'node:inspector/promises'

export type Coverage = {
  /** @returns how many blocks ran for the first time since the last call */
  newBlocks(): Promise<number>
  total(): number
  stop(): void
}

/** @param pattern of the addresses of modules that count */
export async function startCoverage(pattern: RegExp): Promise<Coverage> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  const seen = new Set<string>()
  return {
    async newBlocks() {
      // Counts begin again with each look.
      const { result } = await session.post('Profiler.takePreciseCoverage')
      const before = seen.size
      for (const script of result) {
        if (!pattern.test(script.url)) continue
        for (const { ranges } of script.functions)
          for (const { startOffset, endOffset, count } of ranges)
            if (count > 0) seen.add(`${script.scriptId} ${startOffset} ${endOffset}`)
      }
      return seen.size - before
    },
    total: () => seen.size,
    stop: () => session.disconnect(),
  }
}
