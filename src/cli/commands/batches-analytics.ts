import type { WireAnalytics, WireQuantiles } from '../../contract/wire.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { analyseHere } from '../foreign/analytics.ts'
import { createFallback } from '../foreign/unknown-route.ts'
import { formatCount, formatDuration, formatLatency, formatNumber, formatShort } from '../format.ts'
import type { Output, View } from '../output.ts'
import { standingOf } from '../summary-outcome.ts'
import { costWords } from './batches-facts.ts'
import { requireIds } from './batches-options.ts'

/** `leftWord`: what the requests are that nothing is known of. */
type Analysis = { analytics: WireAnalytics; leftWord: 'open' | 'missing' }

/** Exit 0 whatever state the batches are in. */
export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output, signal } = context
  const ids = requireIds(input)
  const client = await context.client()
  const fallback = createFallback(() =>
    output.say(`${client.baseUrl} has no analytics: these are counted here, from the files of the batch.`),
  )
  for (const id of ids) {
    const analysis = await fallback.either<Analysis>(
      id,
      async () => ({ analytics: await client.batches.analytics(id), leftWord: 'open' }),
      async () => {
        const batch = await client.batches.get(id, signal)
        const analytics = await analyseHere({ client, context }, batch)
        return { analytics, leftWord: standingOf(batch).isEnded ? 'missing' : 'open' }
      },
    )
    show(analysis, output)
  }
  return 0
}

const UNKNOWN = 'unknown'

type Figure = { name: string; value: string }

const plainView: View<WireAnalytics> = {
  columns: [],
  plain: (row) => [
    row.batch_id,
    String(row.requests.total),
    String(row.tokens.total),
    row.latency_ms.upstream === null ? '' : String(row.latency_ms.upstream.mean),
    row.total_cost ?? '',
  ],
}

const figureView: View<Figure> = {
  columns: [
    { title: 'Figure', value: ({ name }) => name },
    { title: 'Value', value: ({ value }) => value },
  ],
}

type Latency = { name: string; quantiles: WireQuantiles }

const latencyView: View<Latency> = {
  columns: [
    { title: 'Latency', value: ({ name }) => name },
    ...(['mean', 'p50', 'p90', 'p95', 'p99', 'max'] as const).map((name) => ({
      title: name,
      value: ({ quantiles }: Latency) => formatLatency(quantiles[name]),
      isNumber: true,
    })),
  ],
}

const modelView: View<WireAnalytics['models'][number]> = {
  columns: [
    { title: 'Model', value: ({ model }) => model },
    { title: 'Requests', value: ({ lines }) => formatCount(lines), isNumber: true },
    { title: 'Tokens in', value: ({ prompt_tokens }) => formatCount(prompt_tokens), isNumber: true },
    { title: 'Tokens out', value: ({ completion_tokens }) => formatCount(completion_tokens), isNumber: true },
    { title: 'Cost', value: ({ cost }) => cost ?? 'no price set', isNumber: true },
  ],
}

function show(analysis: Analysis, output: Output): void {
  const { analytics } = analysis
  if (output.format !== 'table') return output.object(analytics, plainView)
  output.rows(figuresOf(analysis), figureView)
  const { queue, first_byte, upstream } = analytics.latency_ms
  const latencies = [
    { name: 'waiting in the queue', quantiles: queue },
    { name: 'engine, first byte', quantiles: first_byte },
    { name: 'engine, whole answer', quantiles: upstream },
  ].filter((row): row is Latency => row.quantiles !== null)
  if (latencies.length > 0) output.rows(latencies, latencyView)
  if (analytics.models.length > 0) output.rows(analytics.models, modelView)
}

function callWords({ calls, retried }: WireAnalytics['attempts']): string {
  if (calls === null) return UNKNOWN
  return `${formatCount(calls)}, ${retried === null ? UNKNOWN : formatCount(retried)} of them retries`
}

function figuresOf({ analytics, leftWord }: Analysis): Figure[] {
  const { requests, tokens, attempts } = analytics
  const left = requests.total - requests.completed - requests.failed - requests.expired - requests.cancelled
  const states = [
    `${formatCount(requests.completed)} succeeded`,
    `${formatCount(requests.failed)} failed`,
    ...(requests.expired > 0 ? [`${formatCount(requests.expired)} expired`] : []),
    ...(requests.cancelled > 0 ? [`${formatCount(requests.cancelled)} cancelled`] : []),
    ...(left > 0 ? [`${formatCount(left)} ${leftWord}`] : []),
  ]
  const details = [
    ...(tokens.cached > 0 ? [`${formatCount(tokens.cached)} of them cached`] : []),
    ...(tokens.reasoning > 0 ? [`${formatCount(tokens.reasoning)} for reasoning`] : []),
    ...(tokens.usage_unknown > 0 ? [`${formatNumber(tokens.usage_unknown, 'answer')} stated none`] : []),
  ]
  const speeds = [
    ...(analytics.requests_per_second === null
      ? []
      : [`${formatShort(analytics.requests_per_second)} req/s`]),
    ...(analytics.tokens_per_second === null ? [] : [`${formatShort(analytics.tokens_per_second)} tok/s`]),
  ]
  const figures: Figure[] = [
    { name: 'Batch', value: analytics.batch_id },
    { name: 'Requests', value: `${formatCount(requests.total)}: ${states.join(', ')}` },
    { name: 'Calls to engines', value: callWords(attempts) },
    {
      name: 'Tokens',
      value: `${formatCount(tokens.prompt)} in, ${formatCount(tokens.completion)} out${details.length > 0 ? ` (${details.join(', ')})` : ''}`,
    },
  ]
  if (analytics.wall_seconds !== null)
    figures.push({ name: 'Wall time', value: formatDuration(analytics.wall_seconds * 1_000) })
  if (speeds.length > 0) figures.push({ name: 'Throughput', value: speeds.join(', ') })
  // Who tells no calls was not asked for latencies and prices either.
  const isCountedHere = attempts.calls === null
  if (isCountedHere) figures.push({ name: 'Latency', value: UNKNOWN })
  const cost = isCountedHere ? UNKNOWN : costWords(analytics)
  figures.push({ name: 'Cost', value: analytics.simulated ? 'SIMULATED: no model was called' : cost })
  return figures
}
