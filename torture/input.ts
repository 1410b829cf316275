/** Inputs nobody meant to send, made by changing others; those that reach new code are changed further. */
import { createSeededRandom, type Random } from '../src/lib/random.ts'
import { answerTarget } from './input/answer-target.ts'
import { type Coverage, startCoverage } from './input/coverage.ts'
import { fileTarget } from './input/file-target.ts'
import { httpTarget } from './input/http-target.ts'
import { logTarget } from './input/log-target.ts'
import { mutate } from './input/mutate.ts'
import { rangeTarget } from './input/range-target.ts'
import type { Target } from './input/target.ts'
import { type Suite, type SuiteOptions, Tally } from './suite.ts'

/** Code whose blocks count: the product's own, and the parser of forms. */
const OUR_CODE = /\/src\/|busboy/
/** Inputs between two looks at the coverage, which costs as much as many of them. */
const ROUND = 40
const CORPUS_MAX = 2_000
const SHORT_MINUTES = 0.5

export const suite: Suite = {
  name: 'input',
  does: 'generated and mutated files, log segments, answers, ranges and HTTP requests, guided by coverage',
  unit: 'input',
  short: { cycles: 0, minutes: SHORT_MINUTES },
  full: { cycles: 0, minutes: 30 },
  defects: {
    'misses-duplicates': 'the validator says nothing of repeated ids',
    'answers-with-500': 'the server answers refusals with 500',
  },
  async run(options) {
    const tally = new Tally(options.say)
    const coverage = await startCoverage(OUR_CODE)
    const targets = [
      fileTarget({ missesDuplicates: options.defect === 'misses-duplicates' }),
      logTarget(),
      answerTarget(),
      rangeTarget(),
      await httpTarget({
        answersAs: (status) => (options.defect === 'answers-with-500' && status >= 400 ? 500 : status),
      }),
    ]
    try {
      await fuzz(tally, options, { coverage, targets })
    } finally {
      for (const target of targets) await target.stop?.()
      coverage.stop()
    }
    return tally.report()
  },
}

type Bench = { coverage: Coverage; targets: readonly Target[] }

async function fuzz(tally: Tally, options: SuiteOptions, { coverage, targets }: Bench): Promise<void> {
  const random = createSeededRandom(options.seed)
  const endAt = performance.now() + (options.minutes ?? SHORT_MINUTES) * 60_000
  const corpora = new Map(targets.map((target) => [target, [...target.seeds]]))
  let round = 0
  for (const target of targets)
    for (const seed of target.seeds) await tryInput(tally, target, { input: seed, number: 0 })
  for (; performance.now() < endAt && !tally.isFull; round += 1) {
    // The list of targets is not empty.
    const target = targets[round % targets.length] as Target
    const corpus = corpora.get(target) ?? []
    const inputs = await tryRound(tally, target, { random, corpus, round })
    if ((await coverage.newBlocks()) > 0)
      corpus.push(...inputs.slice(0, Math.max(0, CORPUS_MAX - corpus.length)))
    if (round % 5_000 === 4_999) options.say(`${round + 1} rounds, ${coverage.total()} blocks reached`)
  }
  tally.figures.push(`${coverage.total()} blocks of code reached`)
  for (const [target, corpus] of corpora)
    tally.figures.push(`${target.name}: ${corpus.length} inputs worth keeping`)
}

async function tryRound(
  tally: Tally,
  target: Target,
  state: { random: Random; corpus: readonly Buffer[]; round: number },
): Promise<Buffer[]> {
  const inputs = Array.from({ length: ROUND }, () => mutate(state.random, state.corpus))
  for (const input of inputs) await tryInput(tally, target, { input, number: state.round })
  return inputs
}

async function tryInput(
  tally: Tally,
  target: Target,
  { input, number }: { input: Buffer; number: number },
): Promise<void> {
  const wrong = await outcomeOf(target, input)
  if (wrong !== null)
    return tally.violate(
      number,
      `${target.name}: ${wrong}`,
      JSON.stringify(input.toString('latin1').slice(0, 2_000)),
    )
  tally.pass()
  tally.survive(target.name)
}

async function outcomeOf(target: Target, input: Buffer): Promise<string | null> {
  try {
    return await target.run(input)
  } catch (thrown) {
    return `threw ${thrown instanceof Error ? thrown.stack : String(thrown)}`
  }
}
