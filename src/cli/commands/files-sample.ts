import { SAMPLE_LINES_MAX } from '../../domain/limits.ts'
import { createFindingList } from '../../jsonl/finding-list.ts'
import { lineTooLong } from '../../jsonl/tools/parse-line.ts'
import { createReservoir } from '../../jsonl/tools/sample.ts'
import { createSeededRandom, systemRandom } from '../../lib/random.ts'
import { usageError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatCount, formatNumber } from '../format.ts'
import { integerOption, textOption } from './input.ts'
import {
  exitOf,
  findingsJson,
  inputLines,
  openTarget,
  type ToolInput,
  type ToolTarget,
  tellDone,
  tellFindings,
  toolInputs,
  withReadable,
  writeTarget,
} from './tool-files.ts'

const SEED_MAX = 2 ** 32 - 1
const NEWLINE = Buffer.from('\n')
const FINDINGS_HELD_MAX = 1_000

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const count = integerOption(input, 'count', { min: 1, max: SAMPLE_LINES_MAX })
  if (count === null) throw usageError('How many lines? Give -n, for example -n 10.')
  const seed =
    integerOption(input, 'seed', { min: 0, max: SEED_MAX }) ?? Math.floor(systemRandom.float() * SEED_MAX)
  const inputs = toolInputs(context, input.arguments)
  return withReadable(context, inputs, async (readable) => {
    const target = await openTarget(context, textOption(input, 'outputFile'), inputs)
    const { offered, drawn } = await writeTarget(target, (write) =>
      draw(context, readable, { count, seed, write }),
    )
    return tell(context, { target, offered, drawn, seed })
  })
}

type Drawn = { lines: number; findings: ReturnType<typeof createFindingList> }

export async function draw(
  context: CommandContext,
  inputs: readonly ToolInput[],
  options: { count: number; seed: number; write: (bytes: Uint8Array) => Promise<void> },
): Promise<{ result: { offered: number; drawn: Drawn }; isFit: boolean }> {
  const reservoir = createReservoir(options.count, createSeededRandom(options.seed))
  for (const { path } of inputs)
    for await (const batch of inputLines(context, path)) for (const _ of batch) reservoir.offer()
  const numbers = reservoir.drawn()
  const drawn: Drawn = { lines: 0, findings: createFindingList(FINDINGS_HELD_MAX) }
  let number = 0
  let next = 0
  for (const { path } of inputs) {
    for await (const batch of inputLines(context, path)) {
      for (const line of batch) {
        const isDrawn = numbers[next] === number
        number += 1
        if (!isDrawn) continue
        next += 1
        if (line.bytes === null) {
          const problem = lineTooLong(line.lineBytes)
          drawn.findings.add({ ...problem, param: null, lineNumber: line.lineNumber })
          continue
        }
        drawn.lines += 1
        await options.write(Buffer.concat([line.bytes, NEWLINE]))
      }
    }
  }
  return { result: { offered: reservoir.offered, drawn }, isFit: drawn.findings.total === 0 }
}

function tell(
  { output }: CommandContext,
  { target, offered, drawn, seed }: { target: ToolTarget; offered: number; drawn: Drawn; seed: number },
): number {
  const { total } = drawn.findings
  const findings = drawn.findings.kept()
  tellFindings(output, { name: target.name, findings, total })
  tellDone(output, {
    facts: {
      output: target.name,
      written: total === 0 || target.isStdout,
      lines: drawn.lines,
      of: offered,
      seed,
      ...findingsJson({ findings, total }),
    },
    words: `${target.name}: ${formatNumber(drawn.lines, 'line')} of ${formatCount(offered)}, seed ${seed}`,
    isStdoutFree: !target.isStdout,
  })
  return exitOf(total)
}
