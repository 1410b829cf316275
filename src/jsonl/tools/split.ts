/** Decides which line of a file goes into which part. Pure. */

export type SplitLimits = {
  /** Of one part; null where it is not bounded. */
  linesMax: number | null
  bytesMax: number | null
  tokensMax: number | null
}

export type Part = {
  /** '' when models are not told apart. */
  model: string
  /** Counted from 1, for each model. */
  number: number
  lines: number
  bytes: number
  tokens: number
}

export type SplitPlan = {
  /** @returns the part the line goes to, counting it; null when it does not fit into an empty one */
  place(line: { model: string; bytes: number; tokens: number }): Part | null
  /** In the order of their first lines. */
  readonly parts: readonly Part[]
}

export function createSplitPlan(limits: SplitLimits): SplitPlan {
  const open = new Map<string, Part>()
  const parts: Part[] = []
  const fits = (part: Part, line: { bytes: number; tokens: number }): boolean =>
    part.lines < (limits.linesMax ?? Infinity) &&
    part.bytes + line.bytes <= (limits.bytesMax ?? Infinity) &&
    part.tokens + line.tokens <= (limits.tokensMax ?? Infinity)
  return {
    parts,
    place(line) {
      const { model } = line
      let part = open.get(model)
      if (part === undefined || !fits(part, line)) {
        part = { model, number: (part?.number ?? 0) + 1, lines: 0, bytes: 0, tokens: 0 }
        if (!fits(part, line)) return null
        open.set(model, part)
        parts.push(part)
      }
      part.lines += 1
      part.bytes += line.bytes
      part.tokens += line.tokens
      return part
    },
  }
}

/** Guess: names of files may have 255 bytes; the rest is for the stem and the number. */
const MODEL_CHARACTERS_MAX = 80

/** Names such as `requests-001.jsonl` and `requests-gpt-4o-001.jsonl`; two models never share one. */
export function createPartNames(stem: string): (part: Pick<Part, 'model' | 'number'>) => string {
  const words = new Map<string, string>([['', '']])
  const taken = new Set<string>()
  const wordOf = (model: string): string => {
    const known = words.get(model)
    if (known !== undefined) return known
    const plain = `-${model.replaceAll(/[^\w.-]+/g, '_').slice(0, MODEL_CHARACTERS_MAX)}`
    let word = plain
    // Case is no difference on every disk.
    for (let other = 2; taken.has(word.toLowerCase()); other += 1) word = `${plain}~${other}`
    taken.add(word.toLowerCase())
    words.set(model, word)
    return word
  }
  return ({ model, number }) => `${stem}${wordOf(model)}-${String(number).padStart(3, '0')}.jsonl`
}
