/** The tokeniser's thread: it holds the library's tables, and is ended when nobody has asked for a while. */
import type { ModelShare } from '../domain/file.ts'
import type { LineSample } from '../jsonl/line-sample.ts'
import { countSamples } from '../jsonl/tokenizer.ts'
import { serveWorker } from '../lib/worker-channel.ts'

export type CountCall = { shares: readonly ModelShare[]; samples: readonly LineSample[] }

serveWorker({
  count: ({ shares, samples }: CountCall) => countSamples(shares, samples),
  stop: () => undefined,
})
