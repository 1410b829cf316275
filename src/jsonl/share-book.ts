import type { ModelShare } from '../domain/file.ts'
import { MODELS_PER_FILE_MAX } from '../domain/limits.ts'

/** Sums per model, in the order in which the models first appear. */
export type ShareBook = {
  /** @returns the model's number, or null when the file already has as many models as it may. */
  numberOf(model: string): number | null
  add(
    modelNumber: number,
    line: {
      bodyBytes: number
      promptBytes: number
      outputTokensLimit: number | null
      /** Called for the first line of a model alone. */
      template: () => string
    },
  ): void
  shares(): ModelShare[]
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

export function createShareBook(): ShareBook {
  const numbers = new Map<string, number>()
  const shares: Mutable<ModelShare>[] = []
  return {
    numberOf(model) {
      const known = numbers.get(model)
      if (known !== undefined) return known
      if (shares.length >= MODELS_PER_FILE_MAX) return null
      numbers.set(model, shares.length)
      shares.push({
        model,
        lines: 0,
        bodyBytes: 0,
        promptBytes: 0,
        outputTokensLimit: 0,
        outputTokensLimitLines: 0,
      })
      return shares.length - 1
    },
    add(modelNumber, line) {
      const share = shares[modelNumber]
      if (share === undefined) return
      share.template ??= line.template()
      share.lines += 1
      share.bodyBytes += line.bodyBytes
      share.promptBytes += line.promptBytes
      if (line.outputTokensLimit === null) return
      share.outputTokensLimit += line.outputTokensLimit
      share.outputTokensLimitLines += 1
    },
    shares: () => shares,
  }
}
