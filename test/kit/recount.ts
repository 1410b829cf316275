/**
 * What a server's batches took, counted again by another way: from the files that it gives out, line by line, and from the prices
 * that the test itself set. Shares no code with the server.
 */
import { ask, readContent, type WireBatch } from './batch-api.ts'
import { parseLines } from './requests.ts'

export type Recounted = {
  batchId: string
  window: string
  tag: string | null
  model: string
  succeeded: number
  failed: number
  expired: number
  cancelled: number
  prompt_tokens: number
  cached_tokens: number
  completion_tokens: number
  reasoning_tokens: number
  usage_unknown: number
  /** 10⁻¹² units; null without a price. */
  picos: bigint | null
}

/** Decimal text per million tokens; null: no price. */
export type SetPrice = { input: string; cached: string | null; output: string } | null
/** What held when a batch was created. */
export type PriceAt = (batchId: string, model: string, window: string) => SetPrice

type OwnBatch = WireBatch & { completion_window: string; metadata: Record<string, string> | null }
type Usage = {
  prompt_tokens: number
  completion_tokens: number
  prompt_tokens_details?: { cached_tokens?: number }
  completion_tokens_details?: { reasoning_tokens?: number }
}
type Result = {
  custom_id: string
  response: { status_code: number; body: { usage?: Usage } } | null
  error: { code: string } | null
}

/** @param tag name of the metadata @returns a row for every model of the batch's input */
export async function recount(
  url: string,
  batch: OwnBatch,
  { tag, priceAt }: { tag: string; priceAt: PriceAt },
): Promise<Recounted[]> {
  const rows = new Map<string, Recounted>()
  const modelOf = new Map<string, string>()
  const input = parseLines(await readContent(url, batch.input_file_id)) as unknown as {
    custom_id: string
    body: { model: string }
  }[]
  for (const { custom_id, body } of input) {
    modelOf.set(custom_id, body.model)
    if (rows.has(body.model)) continue
    const facts = { batchId: batch.id, window: batch.completion_window, tag: batch.metadata?.[tag] ?? null }
    rows.set(body.model, { ...facts, model: body.model, ...nothing })
  }
  const seen = new Set<string>()
  for (const fileId of [batch.output_file_id, batch.error_file_id])
    for (const line of parseLines(await readContent(url, fileId)) as unknown as Result[]) {
      const row = rows.get(modelOf.get(line.custom_id) ?? '')
      if (row === undefined || seen.has(line.custom_id)) throw new Error(`${line.custom_id} is one too many`)
      seen.add(line.custom_id)
      addResult(row, line)
    }
  for (const row of rows.values()) {
    const price = priceAt(batch.id, row.model, row.window)
    row.picos = price === null ? null : picosOf(row, price)
  }
  return [...rows.values()]
}

const nothing = {
  succeeded: 0,
  failed: 0,
  expired: 0,
  cancelled: 0,
  prompt_tokens: 0,
  cached_tokens: 0,
  completion_tokens: 0,
  reasoning_tokens: 0,
  usage_unknown: 0,
  picos: null,
}

function addResult(row: Recounted, { response, error }: Result): void {
  if (error?.code === 'batch_cancelled') row.cancelled += 1
  else if (error?.code === 'batch_expired') row.expired += 1
  else if (response === null || response.status_code !== 200) row.failed += 1
  else {
    row.succeeded += 1
    const { usage } = response.body
    if (usage === undefined) row.usage_unknown += 1
    else {
      row.prompt_tokens += usage.prompt_tokens
      // No more can have come from a cache than was read.
      row.cached_tokens += Math.min(usage.prompt_tokens, usage.prompt_tokens_details?.cached_tokens ?? 0)
      row.completion_tokens += usage.completion_tokens
      row.reasoning_tokens += usage.completion_tokens_details?.reasoning_tokens ?? 0
    }
  }
}

const MILLIONTHS = 6

/** 10⁻¹² for a token are 10⁻⁶ for a million of them. */
function perToken(perMillion: string): bigint {
  const [whole = '0', fraction = ''] = perMillion.split('.')
  return BigInt(whole + fraction.padEnd(MILLIONTHS, '0'))
}

function picosOf(row: Recounted, price: NonNullable<SetPrice>): bigint {
  const fresh = BigInt(row.prompt_tokens - row.cached_tokens) * perToken(price.input)
  const cached = BigInt(row.cached_tokens) * perToken(price.cached ?? price.input)
  return fresh + cached + BigInt(row.completion_tokens) * perToken(price.output)
}

const DECIMALS = 12

export function amountOf(picos: bigint): string {
  const text = picos.toString().padStart(DECIMALS + 1, '0')
  return `${text.slice(0, -DECIMALS)}.${text.slice(-DECIMALS)}`.replace(/(\.\d\d\d*?)0*$/, '$1')
}

/** All calls that the requests of a batch tell of, one by one. */
export async function callsOf(url: string, batchId: string): Promise<number> {
  let calls = 0
  for (let after: string | null = '0'; after !== null; ) {
    const page: { data: { attempts: number }[]; next_after: string | null } = await ask(
      `${url}/v1/batches/${batchId}/requests?limit=100&after=${after}`,
    )
    for (const { attempts } of page.data) calls += attempts
    after = page.next_after
  }
  return calls
}
