/** How far estimates lie from what batches of real questions then take, before anything is known and with every batch that is learned from. */
import { readFileSync, writeFileSync } from 'node:fs'
import { encodeChat } from 'gpt-tokenizer/encoding/o200k_base'
import { countTokens } from 'gpt-tokenizer/encoding/r50k_base'
import { createSeededRandom } from '../../src/lib/random.ts'
import { ask, batchWhen, createBatch, uploadFile } from '../../test/kit/batch-api.ts'
import { givenMaterial } from '../../test/kit/given-material.ts'
import {
  type RecordedCall,
  type Reply,
  type Script,
  startScriptedUpstream,
} from '../../test/kit/scripted-upstream.ts'
import { configFlags, createSandbox, startServerProcess } from '../../test/kit/server-process.ts'
import { questionOf } from '../make-gsm8k.ts'
import type { Figure } from './figure.ts'

/** One whose tokenizer is known, and one whose is not. */
const KNOWN = 'gpt-4o-mini'
const OTHER = 'house-model'
const BATCHES = 4
/** Of the answers: log-normal, the mean is MEDIAN_TOKENS × e^(SIGMA²/2). */
const MEDIAN_TOKENS = 180
const SIGMA = 0.6
/** What the other model's own frame takes of every request. */
const OTHER_FRAME_TOKENS = 9

const prices = [KNOWN, OTHER]
  .map(
    (model) =>
      `[[prices]]\nmodel = "${model}"\nwindow = "24h"\ninput_per_million = "0.15"\noutput_per_million = "0.6"\n`,
  )
  .join('\n')

export type Trial = {
  model: string
  history: number
  basis: string
  input: number
  cost: number
  isWithin: boolean
}

/** Batches of different questions one after the other; each is estimated before it runs. */
export async function measureEstimates(): Promise<{
  trials: Trial[]
  figures: Figure[]
  distribution: string
}> {
  const questions = readFileSync(givenMaterial.questions, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line, place) => questionOf(line, place + 1))
  const sandbox = createSandbox()
  const upstream = await startScriptedUpstream({ models: [KNOWN, OTHER], script: answer, keepsCalls: false })
  try {
    const flags = configFlags(sandbox, { url: upstream.url, concurrency: 32 }, prices)
    const server = await startServerProcess(sandbox, flags)
    try {
      const trials: Trial[] = []
      for (const model of [KNOWN, OTHER])
        for (let history = 0; history < BATCHES; history += 1) {
          const part = questions.filter((_, place) => place % BATCHES === history)
          const path = sandbox.path(`${model}-${history}.jsonl`)
          writeFileSync(path, part.map((question, place) => lineOf(model, question, place)).join(''))
          trials.push(await runTrial(server.url, { model, history, path }))
        }
      return { trials, figures: figuresOf(trials), distribution: distributionWords(questions.length) }
    } finally {
      await server.kill('SIGKILL')
    }
  } finally {
    await upstream.stop()
    sandbox.remove()
  }
}

function lineOf(model: string, question: string, place: number): string {
  const body = { model, messages: [{ role: 'user', content: question }] }
  return `${JSON.stringify({ custom_id: `${place}`, method: 'POST', url: '/v1/chat/completions', body })}\n`
}

/** Of the routes only what is looked at. */
type Estimate = {
  total_estimated_input_tokens: number
  total_estimated_cost: string
  low: { cost: string }
  high: { cost: string }
  basis: string
}
type Actual = { tokens: { prompt: number }; total_cost: string }

async function runTrial(
  url: string,
  { model, history, path }: { model: string; history: number; path: string },
): Promise<Trial> {
  const fileId = await uploadFile(url, path)
  const estimate = await ask<Estimate>(`${url}/v1/files/${fileId}/cost-estimate?completion_window=24h`)
  const { id } = await createBatch(url, fileId)
  await batchWhen(url, id, ({ status }) => status === 'completed')
  const actual = await ask<Actual>(`${url}/v1/batches/${id}/analytics`)
  const cost = Number(actual.total_cost)
  return {
    model,
    history,
    basis: estimate.basis,
    input: estimate.total_estimated_input_tokens / actual.tokens.prompt - 1,
    cost: Number(estimate.total_estimated_cost) / cost - 1,
    isWithin: Number(estimate.low.cost) <= cost && cost <= Number(estimate.high.cost),
  }
}

/** Every answer states what its prompt took, counted whole, and a length drawn from the request alone. */
const answer: Script = (call: RecordedCall): Reply => {
  // The script's own lines.
  const { model, messages } = JSON.parse(call.body.toString('utf8')) as {
    model: string
    messages: { role: 'user'; content: string }[]
  }
  const text = messages.map(({ content }) => content).join('')
  const prompt_tokens =
    model === KNOWN ? encodeChat(messages, 'gpt-4o').length : countTokens(text) + OTHER_FRAME_TOKENS
  const random = createSeededRandom(Number.parseInt(call.bodyHash.slice(0, 8), 16))
  const normal = Math.sqrt(-2 * Math.log(1 - random.float())) * Math.cos(2 * Math.PI * random.float())
  const completion_tokens = Math.max(1, Math.round(MEDIAN_TOKENS * Math.exp(SIGMA * normal)))
  const message = { role: 'assistant', content: 'So the answer is 7.' }
  return {
    body: {
      id: `chatcmpl-${call.number}`,
      object: 'chat.completion',
      created: 1,
      model,
      choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
      usage: { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens },
    },
  }
}

const INPUT_MAX = 0.05
const COST_FIRST_MAX = 0.25
const COST_LATER_MAX = 0.1

function figuresOf(trials: readonly Trial[]): Figure[] {
  const of = (model: string, history: number): Trial => {
    const found = trials.find((trial) => trial.model === model && trial.history === history)
    if (found === undefined) throw new Error(`no batch of ${model} after ${history}`)
    return found
  }
  const share = (name: string, value: number, most: number): Figure => ({
    name,
    value: `${(value * 100).toFixed(1)} %`,
    target: `within ${most * 100} %`,
    isMet: Math.abs(value) <= most,
  })
  return [
    share('prompt tokens, first batch, tokenizer known', of(KNOWN, 0).input, INPUT_MAX),
    share('prompt tokens, tokenizer not known, learned from one batch', of(OTHER, 1).input, INPUT_MAX),
    ...[KNOWN, OTHER].flatMap((model) => [
      share(`cost of \`${model}\`, one batch learned from`, of(model, 1).cost, COST_FIRST_MAX),
      share(`cost of \`${model}\`, three batches learned from`, of(model, 3).cost, COST_LATER_MAX),
    ]),
  ]
}

function distributionWords(questions: number): string {
  const size = Math.floor(questions / BATCHES)
  return [
    `${questions} questions of GSM8K in ${BATCHES} batches of about ${size} different ones, for each of two models.`,
    `Answers have a length drawn from a log-normal distribution (median ${MEDIAN_TOKENS} tokens, σ ${SIGMA}).`,
    `\`${KNOWN}\` is counted whole by its own tokenizer; \`${OTHER}\` by one that the server does not know, and it adds ${OTHER_FRAME_TOKENS} tokens to each request.`,
  ].join(' ')
}
