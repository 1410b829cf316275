/**
 * Money, exact: integers of 10⁻¹² currency units, decimal text at the edges. A model without a price for a window has none there;
 * another window's price is never used instead, and the simulated model is never priced.
 */
import { assert } from '../lib/errors.ts'
import type { PriceRule } from './config.ts'

export type Price = { inputPicos: bigint; cachedInputPicos: bigint; outputPicos: bigint }

export type TokenCounts = { promptTokens: number; cachedTokens: number; completionTokens: number }

/** Currency units have 12 decimals here; prices are per million tokens, so a token's price needs 6 of them. */
const DECIMALS = 12
const TOKENS_PER_PRICE = 1_000_000n
export const SIMULATED_PREFIX = 'sim/'

/** Price of one token in 10⁻¹² units; null when none is set. */
export function priceOf(rules: readonly PriceRule[], model: string, window: string): Price | null {
  if (model.startsWith(SIMULATED_PREFIX)) return null
  const rule = rules.find((candidate) => candidate.model === model && candidate.window === window)
  if (rule === undefined) return null
  const inputPicos = perToken(rule.inputPerMillion)
  return {
    inputPicos,
    cachedInputPicos: rule.cachedInputPerMillion === null ? inputPicos : perToken(rule.cachedInputPerMillion),
    outputPicos: perToken(rule.outputPerMillion),
  }
}

/** Cached tokens are part of the prompt's: an engine that states more of them than it read makes nothing cheaper than fully cached. */
export function costPicos(price: Price, tokens: TokenCounts): bigint {
  const cached = Math.min(tokens.cachedTokens, tokens.promptTokens)
  return (
    BigInt(tokens.promptTokens - cached) * price.inputPicos +
    BigInt(cached) * price.cachedInputPicos +
    BigInt(tokens.completionTokens) * price.outputPicos
  )
}

/** Whole text of an amount, without trailing zeros but with at least two decimals. */
export function decimalOf(picos: bigint): string {
  const digits = picos.toString().padStart(DECIMALS + 1, '0')
  const fraction = digits.slice(-DECIMALS).replace(/0+$/, '').padEnd(2, '0')
  return `${digits.slice(0, -DECIMALS)}.${fraction}`
}

/** @returns 10⁻¹² units, or null when the text is no amount with at most 12 decimals. */
export function picosOf(text: string): bigint | null {
  const match = /^(\d{1,12})(?:\.(\d{1,12}))?$/.exec(text)
  if (match === null) return null
  return BigInt(match[1] + (match[2] ?? '').padEnd(DECIMALS, '0'))
}

/** A price per million with at most 6 decimals is a whole number of 10⁻¹² per token. */
export function isPrice(text: string): boolean {
  const picos = picosOf(text)
  return picos !== null && picos % TOKENS_PER_PRICE === 0n
}

function perToken(perMillion: string): bigint {
  const picos = picosOf(perMillion)
  // The configuration is refused unless `isPrice` holds; rounding here would make money up.
  assert(picos !== null && picos % TOKENS_PER_PRICE === 0n, `price ${perMillion} was checked at the start`)
  return picos / TOKENS_PER_PRICE
}
