import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Measured } from '../bench/benchmark.ts'
import { benchmarks } from '../bench/benchmarks.ts'
import { resultOf } from '../bench/report.ts'
import { createWorld } from '../bench/world.ts'

// Most of their time at this size is waiting for processes to start.
describe('benchmarks at their smoke size', { concurrency: 3 }, () => {
  for (const [name, benchmark] of benchmarks) {
    test(`'${name}' measures every figure of its rows, and none is absent or zero`, async () => {
      const world = createWorld()
      const measured: Measured[] = []
      try {
        const options = { ...benchmark.smoke, world, say: () => undefined }
        for await (const round of benchmark.measure(options)) measured.push(round)
      } finally {
        await world.close()
      }
      assert.equal(measured.length, benchmark.smoke.rounds)
      const { spread, rows } = resultOf(benchmark, benchmark.smoke, { measured, loadBefore: 0 })
      for (const [figure, { median }] of Object.entries(spread))
        assert.ok(Number.isFinite(median) && median > 0, `${figure} is ${median}`)
      for (const { figure, floor, ratio } of rows)
        assert.ok(floor === undefined || Number.isFinite(ratio), `${figure} to its floor is ${ratio}`)
    })
  }
})
