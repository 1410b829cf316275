import { basename } from 'node:path'
import { copyLines, findCollisions, type MergeInput, prefixesOf } from '../../jsonl/tools/merge.ts'
import { CliError } from '../cli-error.ts'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatNumber } from '../format.ts'
import { stampOf } from './batches-files.ts'
import { flagOption, textOption } from './input.ts'
import {
  exitOf,
  findingsJson,
  inputLines,
  openTarget,
  type ToolInput,
  tellDone,
  tellFindings,
  toolDesk,
  toolInputs,
  withReadable,
  writeTarget,
} from './tool-files.ts'

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const inputs = toolInputs(context, input.arguments)
  const isPrefixed = flagOption(input, 'prefixIds')
  return withReadable(context, inputs, async (readable) => {
    const target = await openTarget(context, textOption(input, 'outputFile'), inputs)
    const sources = sourcesOf(context, readable, isPrefixed)
    const { lines, findings, findingsTotal } = await writeTarget(target, async (write) => {
      const stamps = readable.map(({ path }) => stampOf(path))
      const found = (await findCollisions(sources, toolDesk)).map((list, place) => ({
        name: sources[place]?.name ?? '',
        findings: list.kept(),
        total: list.total,
      }))
      const total = found.reduce((sum, one) => sum + one.total, 0)
      let copied = 0
      if (total === 0) for (const source of sources) copied += await copyLines(source, write)
      requireSame(readable, stamps)
      return { result: { lines: copied, findings: found, findingsTotal: total }, isFit: total === 0 }
    })
    for (const found of findings) tellFindings(output, found)
    const hint = isPrefixed || !hasCollision(findings) ? '' : ' --prefix-ids keeps ids apart.'
    tellDone(output, {
      facts: {
        output: target.name,
        written: findingsTotal === 0,
        lines,
        files: findings.map((found, place) => ({
          path: found.name,
          prefix: sources[place]?.prefix,
          ...findingsJson(found),
        })),
      },
      words:
        findingsTotal > 0
          ? `Nothing was written.${hint}`
          : `${target.name}: ${formatNumber(lines, 'line')} of ${formatNumber(sources.length, 'file')}`,
      isStdoutFree: !target.isStdout || findingsTotal > 0,
    })
    return exitOf(findingsTotal)
  })
}

function sourcesOf(context: CommandContext, inputs: readonly ToolInput[], isPrefixed: boolean): MergeInput[] {
  const prefixes = prefixesOf(inputs.map(({ name }) => basename(name).replace(/\.jsonl$/, '')))
  return inputs.map(({ name, path }, place) => ({
    name,
    read: () => inputLines(context, path),
    prefix: isPrefixed ? (prefixes[place] ?? '') : '',
  }))
}

function hasCollision(all: readonly { findings: readonly { code: string }[] }[]): boolean {
  return all.some(({ findings }) => findings.some(({ code }) => code === 'duplicate_custom_id'))
}

/** What was checked is what was copied. */
function requireSame(inputs: readonly ToolInput[], stamps: readonly string[]): void {
  const changed = inputs.find(({ path }, place) => stampOf(path) !== stamps[place])
  if (changed === undefined) return
  throw new CliError('file_changed', `${changed.name} changed while it was read.`, {
    exit: 'unexpected',
    hint: 'Run the command again when nothing writes to it.',
  })
}
