/** Cuts the input of a run into parts that a service takes as one batch each. A usual run has one part: the whole input. */
import { isObject } from '../../jsonl/prompt-bytes.ts'
import { type Line, readLines } from '../../jsonl/tools/lines.ts'
import { parseLine } from '../../jsonl/tools/parse-line.ts'
import { createSplitPlan } from '../../jsonl/tools/split.ts'
import { RefusedError } from '../../lib/errors.ts'
import type { ServiceLimits } from './service-limits.ts'

/** A stretch of the input, in bytes, of which lines of one model belong to the part, or all where `model` is null. */
export type Part = { start: number; end: number; model: string | null; lines: number }

/** Guess: their journal is written whole at every step. */
const PARTS_PER_RUN_MAX = 1_000
const NEWLINE = Buffer.from('\n')

export type PlanOptions = {
  /** Bytes of the stretch. */
  read: () => AsyncIterable<Uint8Array>
  limits: ServiceLimits
  /** Model that will replace the one of every line. */
  modelOverride: string | null
}

/**
 * @param within a part that is cut into smaller ones, or the whole input
 * @throws RefusedError `invalid_input` for a line that fits into no batch, `too_many_parts`
 */
export async function cutParts(within: Part, options: PlanOptions): Promise<Part[]> {
  const { limits, modelOverride } = options
  const isByModel = limits.isByModel && modelOverride === null
  const needsModel = isByModel || within.model !== null
  const plan = createSplitPlan({ linesMax: limits.linesMax, bytesMax: limits.bytesMax, tokensMax: null })
  const spans = new Map<object, { start: number; end: number; model: string }>()
  for await (const lines of readLines(options.read())) {
    for (const line of lines) {
      const model = needsModel ? modelOf(line) : ''
      if (within.model !== null && model !== within.model) continue
      const bytes = line.lineBytes + NEWLINE.byteLength + growthOf(modelOverride)
      const placed = plan.place({ model: isByModel ? model : '', bytes, tokens: 0 })
      if (placed === null) throw overLimit(line, limits)
      if (plan.parts.length > PARTS_PER_RUN_MAX)
        throw new RefusedError(
          'too_many_parts',
          `These limits make more than ${PARTS_PER_RUN_MAX} batches of one run. Raise them, or cut the file: dw files split`,
        )
      const start = within.start + line.offset
      const span = spans.get(placed) ?? { start, end: start, model }
      span.end = start + line.lineBytes
      spans.set(placed, span)
    }
  }
  const models = new Set(plan.parts.map(({ model }) => model))
  return plan.parts.map((part) => {
    // Every part was placed by a line.
    const { start, end, model } = spans.get(part) as { start: number; end: number; model: string }
    return { start, end, model: within.model ?? (models.size > 1 ? model : null), lines: part.lines }
  })
}

/** Bytes that a line grows by at most when its model is replaced. */
function growthOf(modelOverride: string | null): number {
  return modelOverride === null ? 0 : Buffer.byteLength(JSON.stringify({ model: modelOverride }))
}

function overLimit({ lineNumber, lineBytes }: Line, limits: ServiceLimits): RefusedError {
  return new RefusedError(
    'invalid_input',
    `Line ${lineNumber} of what is sent has ${lineBytes} bytes, more than a whole batch may have here (${limits.bytesMax}).`,
  )
}

function modelOf(line: Line): string {
  const body = parseLine(line, () => undefined)?.value.body
  return isObject(body) && typeof body.model === 'string' ? body.model : ''
}

/** The lines of one part, each with its newline, from the bytes of its stretch. */
export async function* partLines(
  { model }: Pick<Part, 'model'>,
  stretch: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  if (model === null) {
    yield* stretch
    return
  }
  for await (const lines of readLines(stretch)) {
    const own = lines.filter((line) => modelOf(line) === model)
    if (own.length > 0)
      yield Buffer.concat(own.flatMap(({ bytes }) => (bytes === null ? [] : [bytes, NEWLINE])))
  }
}
