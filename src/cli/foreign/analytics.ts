/**
 * What can be told of a batch from OpenAI's routes alone: counts, tokens and models out of its output and error files, in one pass with
 * flat memory. Latencies, attempts and cost are the service's to know, and stay unknown.
 */
import type { WireAnalytics, WireBatch } from '../../contract/wire.ts'
import { isSimulatedModel } from '../summary.ts'
import { type Standing, standingOf } from '../summary-outcome.ts'
import { contentOf, objectsOf, type Service } from './content.ts'
import { modelOf, type Outcome, outcomeOf, usageOf } from './outcome.ts'
import type { Row } from './retry-choice.ts'

/** Guess: a batch has a handful; what a service makes up beyond costs no memory. */
const MODELS_MAX = 1_000
const OTHER_MODELS = '(other models)'

export async function analyseHere(service: Service, batch: WireBatch): Promise<WireAnalytics> {
  const fold = newFold()
  for (const fileId of [batch.output_file_id, batch.error_file_id]) {
    // Absent where a server leaves out what is null.
    if (fileId) await addRows(fold, objectsOf(contentOf(service, fileId)))
  }
  return presented(batch, fold)
}

type Sums = WireAnalytics['tokens']
type ModelSums = Pick<WireAnalytics['models'][number], 'lines' | 'prompt_tokens' | 'completion_tokens'>

type Fold = {
  /** Lines by what they are; those that cannot be read are none of them. */
  lines: Record<Outcome, number>
  tokens: Sums
  models: Map<string, ModelSums>
}

function newFold(): Fold {
  return {
    lines: { succeeded: 0, failed: 0, expired: 0, cancelled: 0 },
    tokens: { prompt: 0, cached: 0, completion: 0, reasoning: 0, total: 0, usage_unknown: 0 },
    models: new Map(),
  }
}

async function addRows({ lines, tokens, models }: Fold, rows: AsyncIterable<Row>): Promise<void> {
  for await (const { parsed } of rows) {
    if (parsed === null) continue
    const outcome = outcomeOf(parsed.value)
    lines[outcome] += 1
    const usage = usageOf(parsed.value)
    if (usage === null && outcome === 'succeeded') tokens.usage_unknown += 1
    const { prompt = 0, completion = 0, cached = 0, reasoning = 0 } = usage ?? {}
    tokens.prompt += prompt
    tokens.cached += cached
    tokens.completion += completion
    tokens.reasoning += reasoning
    tokens.total += prompt + completion
    const model = modelOf(parsed.value)
    if (model === null) continue
    const name = models.has(model) || models.size < MODELS_MAX ? model : OTHER_MODELS
    const sums = models.get(name) ?? { lines: 0, prompt_tokens: 0, completion_tokens: 0 }
    sums.lines += 1
    sums.prompt_tokens += prompt
    sums.completion_tokens += completion
    models.set(name, sums)
  }
}

function presented(batch: WireBatch, fold: Fold): WireAnalytics {
  const standing = standingOf(batch)
  const { tokens, requests } = standing.isEnded ? asRead(standing, fold) : asTold(batch, standing)
  const seconds = wallSeconds(batch)
  const answered = requests.completed + requests.failed
  const perSecond = (count: number): number | null =>
    seconds === null || seconds === 0 ? null : count / seconds
  return {
    object: 'batch.analytics',
    batch_id: batch.id,
    requests,
    tokens,
    latency_ms: { queue: null, first_byte: null, upstream: null },
    attempts: { calls: null, retried: null },
    wall_seconds: seconds,
    requests_per_second: perSecond(answered),
    tokens_per_second: tokens.usage_unknown > 0 ? null : perSecond(tokens.total),
    models: [...fold.models].map(([model, sums]) => ({ model, ...sums, cost: null })),
    currency: 'USD',
    total_cost: null,
    priced: false,
    simulated: fold.models.size > 0 && [...fold.models.keys()].every(isSimulatedModel),
    total_requests: requests.total,
    total_prompt_tokens: tokens.prompt,
    total_completion_tokens: tokens.completion,
    total_tokens: tokens.total,
    avg_duration_ms: null,
    avg_ttfb_ms: null,
  }
}

type Told = Pick<WireAnalytics, 'tokens' | 'requests'>

/** Of an ended batch its files count, not what the service says of them. */
function asRead({ total, unanswered, status }: Standing, { lines, tokens }: Fold): Told {
  const { succeeded, failed, expired, cancelled } = lines
  // Some services write no lines for what an expiry or a cancel left.
  const unwritten = Math.max(0, unanswered - expired - cancelled)
  return {
    tokens,
    requests: {
      total,
      completed: succeeded,
      failed,
      expired: expired + (status === 'expired' ? unwritten : 0),
      cancelled: cancelled + (status === 'cancelled' ? unwritten : 0),
    },
  }
}

/** A batch at work has no files yet. */
function asTold(batch: WireBatch, { total, succeeded, failed }: Standing): Told {
  // The type says what our server sends; others leave the usage out.
  const usage = batch.usage as WireBatch['usage'] | undefined | null
  return {
    tokens: {
      prompt: usage?.input_tokens ?? 0,
      cached: usage?.input_tokens_details?.cached_tokens ?? 0,
      completion: usage?.output_tokens ?? 0,
      reasoning: usage?.output_tokens_details?.reasoning_tokens ?? 0,
      total: usage?.total_tokens ?? 0,
      usage_unknown: usage ? 0 : succeeded,
    },
    requests: { total, completed: succeeded, failed, expired: 0, cancelled: 0 },
  }
}

/** From the start of its work to its end, in whole seconds; null for a batch that has not ended or never began. */
function wallSeconds(batch: WireBatch): number | null {
  const endedAt = batch.completed_at ?? batch.expired_at ?? batch.cancelled_at
  const beganAt = batch.in_progress_at
  if (typeof endedAt !== 'number' || typeof beganAt !== 'number') return null
  return Math.max(0, endedAt - beganAt)
}
