/** Files as a tenant sees them: uploads, lists, deletion. */
import type { Blobs } from '../blobs/blobs.ts'
import { blobNames } from '../blobs/blobs.ts'
import { isEnded } from '../domain/batch.ts'
import type { ServerConfig } from '../domain/config.ts'
import type { Inspection, StoredFile } from '../domain/file.ts'
import { newId } from '../domain/ids.ts'
import type { Clock } from '../lib/clock.ts'
import { RefusedError, TroubleError } from '../lib/errors.ts'
import type { Random } from '../lib/random.ts'
import type { ResultLog } from '../results/result-log.ts'
import type { Store } from '../store/store.ts'
import type { Intake, IntakeUpload } from './intake.ts'
import type { Upload } from './service.ts'

export type FileServiceParts = {
  store: Store
  blobs: Blobs
  intake: Intake
  results: ResultLog
  clock: Clock
  random: Random
  config: ServerConfig
  /** Free bytes on the disk of the data folder. */
  freeBytes: () => number
}

const INPUT_PURPOSE = 'batch'
/** Guess: how often a long upload looks at the free space. */
const SPACE_CHECK_BYTES = 64 * 1024 * 1024

export function createFileService(parts: FileServiceParts) {
  let uploads = 0
  const requireSpace = (): void => {
    if (parts.freeBytes() >= parts.config.limits.uploadFreeBytesMin) return
    throw new TroubleError(
      'disk_full',
      'the disk of the data folder is nearly full: free some space, then upload again',
    )
  }
  return {
    async beginUpload(tenantId: string): Promise<Upload> {
      const { uploadsMax } = parts.config.limits
      if (uploads >= uploadsMax) {
        throw new RefusedError(
          'too_many_uploads',
          `At most ${uploadsMax} uploads run at the same time. Try again when one has ended.`,
          { status: 429 },
        )
      }
      requireSpace()
      uploads += 1
      return new RunningUpload(parts, { tenantId, requireSpace, onEnd: () => (uploads -= 1) })
    },

    async deleteFile(tenantId: string, id: string): Promise<boolean> {
      const { store, clock, results } = parts
      const file = await store.files.get(id, tenantId)
      if (file === null) return false
      if (file.kind === 'input') return store.files.hide(id, clock.now())
      const batch = file.batchId === null ? null : await store.batches.get(file.batchId, tenantId)
      if (batch !== null && !isEnded(batch.status)) {
        throw new RefusedError(
          'file_in_use',
          `File ${id} belongs to batch ${batch.id}, which still writes it. Cancel the batch or wait for its end.`,
          { status: 409, param: 'id' },
        )
      }
      const isHidden = await store.files.hide(id, clock.now())
      if (batch !== null) await results.removeFile(batch.seq, file.kind)
      return isHidden
    },
  }
}

class RunningUpload implements Upload {
  readonly #parts: FileServiceParts
  readonly #context: { tenantId: string; requireSpace: () => void; onEnd: () => void }
  readonly #fileId: string
  readonly #intake: IntakeUpload
  #bytes = 0
  #isEnded = false

  constructor(
    parts: FileServiceParts,
    context: { tenantId: string; requireSpace: () => void; onEnd: () => void },
  ) {
    this.#parts = parts
    this.#context = context
    this.#fileId = newId('file-', parts.clock.now(), parts.random)
    this.#intake = parts.intake.begin(this.#fileId)
  }

  async write(chunk: Uint8Array): Promise<void> {
    const before = Math.floor(this.#bytes / SPACE_CHECK_BYTES)
    this.#bytes += chunk.byteLength
    if (Math.floor(this.#bytes / SPACE_CHECK_BYTES) !== before) this.#context.requireSpace()
    await this.#intake.write(chunk)
  }

  async finish(facts: {
    filename: string
    purpose: string
    expiresAfterSeconds: number | null
  }): Promise<StoredFile> {
    try {
      if (facts.purpose !== INPUT_PURPOSE) {
        throw new RefusedError(
          'invalid_purpose',
          `'${facts.purpose}' is not one of ['${INPUT_PURPOSE}'] - 'purpose'`,
        )
      }
      if (!facts.filename.endsWith('.jsonl')) throw wrongFormat()
      const inspection = await this.#intake.finish()
      if (isNoJsonl(inspection)) throw wrongFormat()
      const file = this.#fileOf(facts, inspection)
      await this.#parts.store.files.create(file)
      this.#end()
      return file
    } catch (thrown) {
      await this.abort()
      throw thrown
    }
  }

  async abort(): Promise<void> {
    if (this.#isEnded) return
    this.#end()
    await this.#intake.abort()
    await removeInput(this.#parts.blobs, this.#fileId)
  }

  #end(): void {
    if (!this.#isEnded) this.#context.onEnd()
    this.#isEnded = true
  }

  #fileOf(
    facts: { filename: string; purpose: string; expiresAfterSeconds: number | null },
    inspection: Inspection,
  ): StoredFile {
    const createdAt = this.#parts.clock.now()
    const { expiresAfterSeconds } = facts
    return {
      id: this.#fileId,
      tenantId: this.#context.tenantId,
      filename: facts.filename,
      purpose: facts.purpose,
      createdAt,
      expiresAt: expiresAfterSeconds === null ? null : createdAt + expiresAfterSeconds * 1000,
      deletedAt: null,
      kind: 'input',
      bytes: inspection.bytes,
      extents: [{ blob: blobNames.data(this.#fileId), offset: 0, bytes: inspection.bytes, firstLine: 0 }],
      inspection,
      batchId: null,
    }
  }
}

/** What OpenAI refuses at the upload: nothing in it, or no JSON at its beginning. */
function isNoJsonl(inspection: Inspection): boolean {
  if (inspection.lines === 0) return true
  return inspection.findings.some(
    (finding) => finding.lineNumber === 1 && finding.code === 'invalid_json_line',
  )
}

function wrongFormat(): RefusedError {
  return new RefusedError('invalid_file_format', 'Invalid file format for Batch API. Must be .jsonl')
}

/** All blobs of an input file. Absent ones are fine. */
export async function removeInput(blobs: Blobs, fileId: string): Promise<void> {
  for (const nameOf of Object.values(blobNames)) await blobs.remove(nameOf(fileId))
}
