import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WireCostEstimate } from '../../contract/wire.ts'
import { isEndpoint } from '../../domain/batch.ts'
import { basisOf, estimateTokens, type TokenCount } from '../../jsonl/estimate.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { download } from '../foreign/content.ts'
import { createFallback } from '../foreign/unknown-route.ts'
import { formatCount, formatDuration } from '../format.ts'
import type { View } from '../output.ts'
import { findingLines } from '../summary-findings.ts'
import { lastUpload } from '../user-files.ts'
import { checkInput } from './batches-files.ts'
import { textOption } from './input.ts'
import { requireFile } from './local-file.ts'

const NOT_SET = 'not set'
const WINDOW_DEFAULT = '24h'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const window = textOption(input, 'completionWindow')
  const [given] = input.arguments
  const isLocal = given !== undefined && existsSync(given)
  const estimate = isLocal
    ? await estimateLocally(context, { path: given, name: given, window })
    : await estimateUploaded(context, given ?? lastUploaded(context), window)
  show(context, estimate)
  return 0
}

/** A service that has no estimates is asked for the file itself. */
async function estimateUploaded(
  context: CommandContext,
  id: string,
  window: string | null,
): Promise<WireCostEstimate> {
  const client = await context.client()
  const fallback = createFallback(() =>
    context.output.say(
      `${client.baseUrl} has no estimates: tokens are counted here, and prices are not known.`,
    ),
  )
  return fallback.either(
    id,
    () => client.files.costEstimate(id, window),
    async () => {
      const { id: fileId } = await client.files.get(id, context.signal)
      const folder = mkdtempSync(join(tmpdir(), 'dw-'))
      try {
        const path = join(folder, 'requests.jsonl')
        await download({ client, context }, { fileId, path })
        return await estimateLocally(context, { path, name: fileId, window })
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
  )
}

/** The file uploaded last to this server, as the command is written without an id. */
function lastUploaded(context: CommandContext): string {
  const last = lastUpload(context.env, context.serverUrl())
  if (last === null) {
    throw new CliError('no_upload', 'No file was uploaded to this server from here yet.', {
      exit: 'usage',
      hint: 'Name one: dw files cost-estimate FILE_ID, or upload first: dw files upload batch.jsonl',
    })
  }
  context.output.say(
    `${last.id} (${last.name}, uploaded ${formatDuration(Date.now() - last.uploadedAt)} ago)`,
  )
  return last.id
}

/** Tokens from the file itself; prices are the server's, so there are none here. */
async function estimateLocally(
  context: CommandContext,
  { path, name, window }: { path: string; name: string; window: string | null },
): Promise<WireCostEstimate> {
  requireFile(path)
  const { inspected } = await checkInput(path, {
    model: null,
    countsTokens: true,
    signal: context.signal,
    onProgress: () => undefined,
  })
  if (inspected.findingsTotal > 0) {
    for (const line of findingLines(inspected.findings, inspected.findingsTotal)) context.output.warn(line)
    throw new CliError('invalid_input', `${name} has ${inspected.findingsTotal} problems.`, {
      exit: 'invalidInput',
    })
  }
  const [endpoint] = inspected.endpoints
  const models = estimateTokens(
    inspected.models,
    endpoint !== undefined && isEndpoint(endpoint) ? endpoint : null,
  )
  return {
    object: 'file.cost_estimate',
    file_id: name,
    completion_window: window ?? WINDOW_DEFAULT,
    currency: 'USD',
    total_requests: inspected.lines,
    total_estimated_input_tokens: models.reduce((sum, share) => sum + share.inputTokens, 0),
    total_estimated_output_tokens: models.reduce((sum, share) => sum + share.outputTokens, 0),
    total_estimated_cost: NOT_SET,
    priced: false,
    ...boundsOf(models),
    basis: basisOf(models),
    history: { lines: 0, batches: 0 },
    models: models.map((share) => ({
      model: share.model,
      request_count: share.requests,
      estimated_input_tokens: share.inputTokens,
      estimated_output_tokens: share.outputTokens,
      estimated_cost: NOT_SET,
      priced: false,
      ...boundsOf([share]),
      rests_on: { ...share.restsOn },
      history: { ...share.history },
    })),
  }
}

function boundsOf(counted: readonly Record<'low' | 'high', TokenCount>[]) {
  const sum = (bound: 'low' | 'high') => ({
    input_tokens: counted.reduce((total, one) => total + one[bound].inputTokens, 0),
    output_tokens: counted.reduce((total, one) => total + one[bound].outputTokens, 0),
    cost: null,
  })
  return { low: sum('low'), high: sum('high') }
}

type Share = WireCostEstimate['models'][number]

function show({ output }: CommandContext, estimate: WireCostEstimate): void {
  if (output.format === 'json') return output.json(estimate)
  const cost = (text: string, isPriced: boolean): string =>
    isPriced ? `${text} ${estimate.currency}` : 'no price set'
  const total: Share = {
    model: 'total',
    request_count: estimate.total_requests,
    estimated_input_tokens: estimate.total_estimated_input_tokens,
    estimated_output_tokens: estimate.total_estimated_output_tokens,
    estimated_cost: estimate.total_estimated_cost,
    priced: estimate.priced,
  }
  const view: View<Share> = {
    columns: [
      { title: 'Model', value: ({ model }) => model },
      { title: 'Requests', value: ({ request_count }) => formatCount(request_count), isNumber: true },
      { title: 'Input tokens', value: (share) => formatCount(share.estimated_input_tokens), isNumber: true },
      {
        title: 'Output tokens',
        value: (share) => formatCount(share.estimated_output_tokens),
        isNumber: true,
      },
      {
        title: `Cost (${estimate.completion_window})`,
        value: (share) => cost(share.estimated_cost, share.priced),
        isNumber: true,
      },
    ],
  }
  output.rows([...estimate.models, total], view)
  const { low, high } = estimate
  const range = (from: number, to: number): string => `${formatCount(from)} to ${formatCount(to)}`
  if (low !== undefined && high !== undefined) {
    const tokens = `${range(low.input_tokens, high.input_tokens)} input and ${range(low.output_tokens, high.output_tokens)} output tokens`
    const costs = low.cost === null ? '' : `, ${low.cost} to ${high.cost} ${estimate.currency}`
    output.say(`It may well be ${tokens}${costs}.`)
  }
  output.say(`An estimate. ${estimate.basis}.`)
}
