/** What a run would do and cost, before it does it. Only reads. */
import { ApiError, type Client } from '../../client/client.ts'
import { isEndpoint } from '../../domain/batch.ts'
import { decimalOf } from '../../domain/price.ts'
import { basisOf, estimateTokens, type TokenEstimate } from '../../jsonl/estimate.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext } from '../command.ts'
import { formatBytes, formatCount, formatNumber } from '../format.ts'
import type { View } from '../output.ts'
import { type CostBound, costBound, type ModelPrices } from '../run/cost-bound.ts'
import { isSimulatedModel } from '../summary.ts'
import type { RunInput } from './run-input.ts'
import type { RunSettings } from './run-options.ts'

type Cost = (CostBound & { currency: string }) | { unpriced: string }

async function costOf(client: Client, input: RunInput, settings: RunSettings): Promise<Cost> {
  const prices = new Map<string, ModelPrices>()
  for (const { model } of input.models) {
    const known = isSimulatedModel(model) ? simulated : await pricesOf(client, model)
    // The first unknown one decides; the others need not be asked for.
    if (known === null) return { unpriced: model }
    prices.set(model, known)
  }
  const bound = costBound({
    models: input.models,
    endpoint: isEndpoint(input.endpoint) ? input.endpoint : null,
    window: settings.window,
    pricesOf: (model) => prices.get(model) ?? null,
  })
  const currency = [...prices.values()].find((one) => one.currency !== null)?.currency ?? ''
  return 'unpriced' in bound ? bound : { ...bound, currency }
}

const simulated: ModelPrices = { isSimulated: true, currency: null, rules: [] }

/** @returns null where the server tells no prices of it */
async function pricesOf(client: Client, model: string): Promise<ModelPrices | null> {
  try {
    const { dw } = await client.models.get(model)
    if (dw === undefined || !dw.priced) return null
    return {
      isSimulated: dw.simulated,
      currency: dw.prices[0]?.currency ?? null,
      rules: dw.prices.map((price) => ({
        model,
        window: price.window,
        inputPerMillion: price.input_per_million,
        cachedInputPerMillion: price.cached_input_per_million,
        outputPerMillion: price.output_per_million,
      })),
    }
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.status === 404) return null
    throw thrown
  }
}

/** @throws CliError `no_price`, `over_max_cost` */
export async function requireCost(client: Client, input: RunInput, settings: RunSettings): Promise<void> {
  const { costPicosMax, window } = settings
  if (costPicosMax === null) return
  const cost = await costOf(client, input, settings)
  if ('unpriced' in cost)
    throw new CliError(
      'no_price',
      `What ${cost.unpriced} costs in the window ${window} is not known at ${client.baseUrl}, so --max-cost cannot be kept. Nothing was submitted.`,
      { exit: 'quota', hint: 'Set its price at the server, or run without --max-cost.' },
    )
  if (cost.highestPicos <= costPicosMax) return
  throw new CliError(
    'over_max_cost',
    `It may cost up to ${decimalOf(cost.highestPicos)} ${cost.currency} (expected: ${decimalOf(cost.expectedPicos)}), more than --max-cost ${decimalOf(costPicosMax)}. Nothing was submitted.`,
    {
      exit: 'quota',
      hint: 'Try it with --sample N first, lower the limits of the answers, or raise --max-cost.',
    },
  )
}

export type PlanFacts = {
  client: Client
  input: RunInput
  settings: RunSettings
  batches: number
  action: 'new' | 'reattach' | 'unknown'
  batchIds: readonly string[]
}

export async function tellPlan({ output }: CommandContext, facts: PlanFacts): Promise<void> {
  const { input } = facts
  const estimates = estimateTokens(input.models, isEndpoint(input.endpoint) ? input.endpoint : null)
  const plan = await planOf(facts, estimates)
  if (output.format === 'table') for (const line of planLines(plan)) output.line(line)
  else output.object(plan, planView)
  output.say(`An estimate. ${basisOf(estimates)}. Nothing was sent.`)
}

type RunPlan = Awaited<ReturnType<typeof planOf>>

async function planOf(facts: PlanFacts, models: readonly TokenEstimate[]) {
  const { client, input, settings, batches, action, batchIds } = facts
  const cost = action === 'unknown' ? null : await costOf(client, input, settings)
  const isPriced = cost !== null && !('unpriced' in cost)
  return {
    object: 'run_plan',
    server: client.baseUrl,
    input: input.source.name,
    requests: input.lines,
    bytes: input.source.bytes,
    endpoint: input.endpoint,
    completion_window: settings.window,
    models: models.map(({ model, requests, inputTokens, outputTokens }) => ({
      model,
      requests,
      estimated_input_tokens: inputTokens,
      estimated_output_tokens: outputTokens,
    })),
    estimated_input_tokens: models.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
    estimated_output_tokens: models.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
    estimated_cost: isPriced ? decimalOf(cost.expectedPicos) : null,
    estimated_cost_max: isPriced ? decimalOf(cost.highestPicos) : null,
    currency: isPriced && cost.currency !== '' ? cost.currency : null,
    batches,
    action,
    batch_ids: [...batchIds],
  }
}

/** Guess: more models than this are a table of their own: `dw files stats`. */
const MODELS_SHOWN_MAX = 8

function planLines(plan: RunPlan): string[] {
  const models = plan.models
    .slice(0, MODELS_SHOWN_MAX)
    .map(({ model, requests }) => `${model} (${formatCount(requests)})`)
  const more =
    plan.models.length > MODELS_SHOWN_MAX ? ` and ${plan.models.length - MODELS_SHOWN_MAX} more` : ''
  const cost =
    plan.estimated_cost === null
      ? 'not known'
      : `${plan.estimated_cost}, at most ${plan.estimated_cost_max} ${plan.currency ?? ''}`.trimEnd()
  const actions = {
    new: `${formatNumber(plan.batches, 'new batch', 'new batches')} would be made`,
    reattach: `would go on with ${plan.batch_ids.join(', ')}`,
    unknown: 'not known: the server cannot be reached',
  }
  return [
    `server    ${plan.server}`,
    `input     ${plan.input}: ${formatNumber(plan.requests, 'request')}, ${formatBytes(plan.bytes)}`,
    `endpoint  ${plan.endpoint}, window ${plan.completion_window}`,
    `models    ${models.join(', ')}${more}`,
    `tokens    about ${formatCount(plan.estimated_input_tokens)} in, ${formatCount(plan.estimated_output_tokens)} out`,
    `cost      ${cost}`,
    `action    ${actions[plan.action]}`,
  ]
}

const planView: View<RunPlan> = {
  columns: [
    { title: 'Server', value: ({ server }) => server },
    { title: 'Requests', value: ({ requests }) => String(requests), isNumber: true },
    { title: 'Action', value: ({ action }) => action },
  ],
  id: ({ batch_ids }) => batch_ids.join(' '),
}
