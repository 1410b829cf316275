/**
 * The one validator of request files: called by the command line for local files and by the server's intake for uploads.
 * One pass over the bytes as they come; memory does not grow with the file. It collects what is wrong with every line, an index entry
 * per request line, and the sums that estimates are made of.
 */
import type { Inspection } from '../domain/file.ts'
import { FINDINGS_KEPT_MAX } from '../domain/limits.ts'
import { createBlockCutter } from './block-cutter.ts'
import { createDuplicateFinder } from './duplicate-finder.ts'
import { createFindingList } from './finding-list.ts'
import type { IndexEntry } from './line-index.ts'
import { LineInspector } from './line-inspector.ts'
import { createLineSampler, type LineSample } from './line-sample.ts'
import { quote } from './request-rules.ts'
import type { Spill } from './spill.ts'
import type { ReadAt } from './window-reader.ts'

export type InspectorOptions = {
  /** Longest line in bytes, line end left out. */
  lineBytesMax: number
  linesMax: number
  /** Eight random bytes that key the search for duplicate ids. */
  seed: Uint8Array
  /** Where hashes of ids go that do not fit in memory; closed by the caller. */
  spill: Spill
  /** Reads the inspected bytes again, all of them by the time of `finish`. */
  readBack: ReadAt
  /** Model that will replace the one of every line, which may then lack its own. */
  modelOverride?: string
  /** Called for every request line in order, bad ones too; what a bad line lacks is 0. */
  onEntry?: (entry: IndexEntry) => void
  /** For tests: ids held in memory before they are spilled. */
  idsHeldMax?: number
}

/** Up to FINDINGS_KEPT_MAX findings, in the order of the file. */
export type Inspected = Omit<Inspection, 'sha256'>

/** What a tokeniser has still to look at; see `countSamples`. */
export type Sampled = Inspected & { samples: LineSample[] }

export type Inspector = {
  /** Takes the next bytes of the file; they are not needed after the call. @throws what `spill` throws */
  push(chunk: Uint8Array): void
  /** To be called once, after the last `push`. @throws what `spill` and `readBack` throw */
  finish(): Sampled
}

export function createInspector(options: InspectorOptions): Inspector {
  const findings = createFindingList(FINDINGS_KEPT_MAX)
  const duplicates = createDuplicateFinder({
    key: readKey(options.seed),
    spill: options.spill,
    readBack: options.readBack,
    ...(options.idsHeldMax !== undefined && { idsHeldMax: options.idsHeldMax }),
  })
  const sampler = createLineSampler()
  const lines = new LineInspector({
    lineBytesMax: options.lineBytesMax,
    linesMax: options.linesMax,
    modelOverride: options.modelOverride ?? null,
    onEntry: options.onEntry ?? null,
    findings,
    duplicates,
    sampler,
  })
  const cutter = createBlockCutter(options.lineBytesMax, lines)
  let bytes = 0
  return {
    push(chunk) {
      bytes += chunk.byteLength
      cutter.push(chunk)
    },
    finish() {
      cutter.finish()
      if (lines.count === 0) {
        const message = 'The input file is empty. Please ensure that the batch contains at least one request.'
        findings.add({ code: 'empty_file', message, param: null, lineNumber: null })
      }
      duplicates.report(({ id, lineNumber, firstLineNumber }) => {
        const repeats = `The custom_id ${quote(id)} for this request is a duplicate of another request.`
        const rule = 'The custom_id parameter must be unique for each request in a batch.'
        const message = `${repeats} ${rule} Line ${firstLineNumber} has it first.`
        findings.add({ code: 'duplicate_custom_id', message, param: 'custom_id', lineNumber })
      })
      return {
        bytes,
        lines: lines.count,
        models: lines.shares(),
        endpoints: lines.endpoints,
        findings: findings.kept(),
        findingsTotal: findings.total,
        samples: sampler.samples(),
      }
    },
  }
}

function readKey(seed: Uint8Array): { low: number; high: number } {
  const view = new DataView(seed.buffer, seed.byteOffset, seed.byteLength)
  return { low: view.getInt32(0), high: view.getInt32(4) }
}
