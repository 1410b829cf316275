/** For tests: a desk in a folder of its own, lines of texts, and what a tool wrote. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemDisk } from '../../lib/disk.ts'
import { createSeededRandom } from '../../lib/random.ts'
import type { Desk } from './desk.ts'
import { type Line, readLines } from './lines.ts'

export type TestDesk = Desk & {
  file(name: string, text: string): string
  /** Files that a tool left behind. */
  leftOver(): string[]
  remove(): void
}

export function createTestDesk(): TestDesk {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  return {
    disk: systemDisk,
    random: createSeededRandom(7),
    temporaryFolder: folder,
    file(name, text) {
      writeFileSync(join(folder, name), text)
      return join(folder, name)
    },
    leftOver: () => readdirSync(folder).filter((name) => name.startsWith('dw-tool-')),
    remove: () => rmSync(folder, { recursive: true }),
  }
}

/** @param cut bytes of a chunk */
export function linesOf(text: string, cut = 7): AsyncGenerator<Line[]> {
  return readLines(chunksOf(text, cut))
}

export async function* chunksOf(text: string, cut = 7): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  // One buffer for all chunks, so that whoever keeps one is found out.
  const chunk = Buffer.allocUnsafeSlow(cut)
  for (let at = 0; at < bytes.byteLength; at += cut) {
    const filled = bytes.copy(chunk, 0, at, at + cut)
    yield chunk.subarray(0, filled)
  }
}

export function createWritten(): { write(bytes: Uint8Array): Promise<void>; text(): string } {
  const parts: Buffer[] = []
  return {
    async write(bytes) {
      parts.push(Buffer.from(bytes))
    },
    text: () => Buffer.concat(parts).toString(),
  }
}
