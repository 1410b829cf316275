/** Request files whose lines tell the scripted upstream what to do with them. */
import type { Random } from '../../src/lib/random.ts'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import type { KnownFile } from './ledger.ts'

/** What the upstream does with a line that is not simply answered. */
export const LINE_KINDS = ['refuse', 'hang', 'slow'] as const
export type LineKind = (typeof LINE_KINDS)[number]
/** Shares of the lines, together 1 at the most. */
export type LineKinds = Partial<Record<LineKind, number>>

/** @param options name: makes the lines unlike those of any other file */
export function requestFile(
  random: Random,
  options: { count: number; kinds: LineKinds; name: string },
): KnownFile {
  const lines = Array.from({ length: options.count }, (_, number) => {
    const kind = drawKind(random.float(), options.kinds)
    return chatLine(number, {
      model: 'm',
      content: `${kind === null ? '' : mark(kind)} ${options.name}, line ${number}`,
    })
  })
  return { text: jsonl(lines), ids: lines.map((line) => line.custom_id) }
}

/** @returns null: a line that is answered */
export function kindOf(body: Buffer): LineKind | null {
  return LINE_KINDS.find((kind) => body.includes(mark(kind))) ?? null
}

function drawKind(draw: number, kinds: LineKinds): LineKind | null {
  let end = 0
  for (const kind of LINE_KINDS) {
    end += kinds[kind] ?? 0
    if (draw < end) return kind
  }
  return null
}

function mark(kind: LineKind): string {
  return `[${kind}]`
}
