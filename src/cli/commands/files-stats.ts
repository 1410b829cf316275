import { isEndpoint } from '../../domain/batch.ts'
import { basisOf, estimateTokens, type TokenEstimate } from '../../jsonl/estimate.ts'
import { type Stats, statsOf } from '../../jsonl/tools/stats.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatBytes, formatCount, formatNumber } from '../format.ts'
import { findingsJson, toolDesk, toolInputs, withReadable } from './tool-files.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const inputs = toolInputs(context, input.arguments)
  const bases = new Set<string>()
  await withReadable(context, inputs, async (readable) => {
    for (const { name, path } of readable) {
      const stats = await statsOf(path, toolDesk, context.signal)
      const tokens = tokensOf(stats)
      const facts = factsOf(name, stats, tokens)
      bases.add(basisOf(tokens))
      if (output.format === 'json') output.json(facts)
      else for (const line of linesOf(facts)) output.line(line)
    }
  })
  if (output.format !== 'json') for (const basis of bases) output.say(`Tokens are an estimate. ${basis}.`)
  return 0
}

/** The numbers as programs read them; people are shown the same. */
type Facts = {
  path: string
  requests: number
  bytes: number
  models: {
    model: string
    requests: number
    estimated_input_tokens: number
    estimated_output_tokens: number
  }[]
  endpoints: { endpoint: string; requests: number | null }[]
  estimated_input_tokens: number
  estimated_output_tokens: number
  /** Lines whose id an earlier line has; at least so many where not all findings could be kept. */
  duplicate_custom_ids: number
  custom_ids_unique: boolean
  longest_line: { line: number; bytes: number } | null
  images: Stats['images']
  findings_total: number
}

function tokensOf({ inspected }: Stats): TokenEstimate[] {
  const [endpoint] = inspected.endpoints
  return estimateTokens(inspected.models, endpoint !== undefined && isEndpoint(endpoint) ? endpoint : null)
}

function factsOf(path: string, stats: Stats, tokens: readonly TokenEstimate[]): Facts {
  const { inspected, endpoints, longestLine, images } = stats
  const duplicates = inspected.findings.filter(({ code }) => code === 'duplicate_custom_id').length
  return {
    path,
    requests: inspected.lines,
    bytes: inspected.bytes,
    models: tokens.map(({ model, requests, inputTokens, outputTokens }) => ({
      model,
      requests,
      estimated_input_tokens: inputTokens,
      estimated_output_tokens: outputTokens,
    })),
    endpoints: endpoints.map(({ endpoint: url, lines }) => ({ endpoint: url, requests: lines })),
    estimated_input_tokens: tokens.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
    estimated_output_tokens: tokens.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
    duplicate_custom_ids: duplicates,
    custom_ids_unique: duplicates === 0 && inspected.findings.length === inspected.findingsTotal,
    longest_line: longestLine === null ? null : { line: longestLine.lineNumber, bytes: longestLine.bytes },
    images,
    ...(findingsJson({ findings: inspected.findings, total: inspected.findingsTotal }) as {
      findings_total: number
    }),
  }
}

function linesOf(facts: Facts): string[] {
  const { images, longest_line: longest, duplicate_custom_ids: duplicates } = facts
  const imagesTotal = images.inline + images.remote + images.local
  const rows: [string, string][] = [
    ['requests', formatCount(facts.requests)],
    ['size', formatBytes(facts.bytes)],
    ...facts.endpoints.map(({ endpoint, requests }): [string, string] => [
      'endpoint',
      `${endpoint}${requests === null ? '' : `  ${formatNumber(requests, 'request')}`}`,
    ]),
    ...facts.models.map((share): [string, string] => [
      'model',
      `${share.model}  ${formatNumber(share.requests, 'request')}, ${tokenWords(share)}`,
    ]),
    ['tokens', tokenWords(facts)],
    [
      'custom ids',
      duplicates === 0
        ? 'all different'
        : `${formatNumber(duplicates, 'line')} with one that an earlier line has`,
    ],
    [
      'longest line',
      longest === null ? 'none' : `${formatBytes(longest.bytes)}, line ${formatCount(longest.line)}`,
    ],
  ]
  if (imagesTotal > 0) {
    const parts = `${images.inline} inside the lines, ${images.remote} by URL, ${images.local} by path`
    rows.push(['images', `${formatCount(imagesTotal)}: ${parts}`])
  }
  if (facts.findings_total > 0)
    rows.push(['problems', `${formatCount(facts.findings_total)}; dw files validate names them`])
  return [facts.path, ...rows.map(([title, value]) => `  ${title.padEnd(13)} ${value}`)]
}

function tokenWords(of: { estimated_input_tokens: number; estimated_output_tokens: number }): string {
  return `${formatCount(of.estimated_input_tokens)} in, ${formatCount(of.estimated_output_tokens)} out`
}
