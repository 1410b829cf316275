/** Runs the bare sender: what the same machine does with the same bodies when nothing is stored. */
import { run } from '../test/kit/server-process.ts'
import type { SenderReport } from './bare-sender.ts'

/** Guess: enough bodies for a steady rate without holding a million in memory. */
const REQUESTS_MAX = 100_000

export async function measureBareSender(
  file: string,
  upstream: { origin: string },
  options: { concurrency: number; requestsMax?: number },
): Promise<SenderReport> {
  const sender = new URL('bare-sender.ts', import.meta.url).pathname
  const requestsMax = options.requestsMax ?? REQUESTS_MAX
  const words = [sender, file, upstream.origin, String(options.concurrency), String(requestsMax)]
  const { stdout, stderr, exitCode } = await run(process.execPath, words)
  if (exitCode !== 0) throw new Error(`the floor could not be measured: ${stderr}`)
  // Our own program's report.
  return JSON.parse(stdout) as SenderReport
}
