import { api } from './api.ts'
import type { Benchmark } from './benchmark.ts'
import { breakdown } from './breakdown.ts'
import { cli } from './cli.ts'
import { content } from './content.ts'
import { create } from './create.ts'
import { dispatch } from './dispatch.ts'
import { growth } from './growth.ts'
import { intake } from './intake.ts'
import { latency } from './latency.ts'
import { many } from './many.ts'
import { memory } from './memory.ts'
import { refill } from './refill.ts'
import { resume } from './resume.ts'

/** In the order in which they run and are shown. */
export const benchmarks: ReadonlyMap<string, Benchmark> = new Map(
  [dispatch, breakdown, memory, intake, content, create, resume, refill, latency, many, api, growth, cli].map(
    (each) => [each.name, each],
  ),
)
