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
import { createOrFind, OutcomeUnknownError } from './commit-outcome.ts'
import { findFile } from './file-lookup.ts'
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
      const upload = new RunningUpload(parts, { tenantId, requireSpace, onEnd: () => (uploads -= 1) })
      uploads += 1
      return upload
    },

    getFile: (tenantId: string, id: string): Promise<StoredFile | null> => findFile(parts, tenantId, id),

    async deleteFile(tenantId: string, id: string): Promise<boolean> {
      const { store, clock, results } = parts
      const file = await findFile(parts, tenantId, id)
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
      // The bytes first: after a crash in between the id is still there to be deleted again.
      if (batch !== null) await results.removeFile(batch.seq, file.kind)
      return store.files.hide(id, clock.now())
    },
  }
}

class RunningUpload implements Upload {
  readonly #parts: FileServiceParts
  readonly #context: { tenantId: string; requireSpace: () => void; onEnd: () => void }
  readonly #fileId: string
  readonly #intake: IntakeUpload
  #bytes = 0
  #beginning = new JsonBeginning()
  /** From here on `finish` alone decides what remains. */
  #isFinishing = false
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
    this.#beginning.look(chunk)
    await this.#intake.write(chunk)
  }

  async finish(facts: {
    filename: string
    purpose: string
    expiresAfterSeconds: number | null
  }): Promise<StoredFile> {
    this.#isFinishing = true
    try {
      requireInputFacts(facts)
      const inspection = await this.#intake.finish()
      if (inspection.lines === 0 || !this.#beginning.isJson) throw wrongFormat()
      const stored = await this.#store(this.#fileOf(facts, inspection))
      this.#end()
      return stored
    } catch (thrown) {
      // A row that may exist keeps its bytes; without a row the next start sweeps them.
      if (thrown instanceof OutcomeUnknownError) this.#end()
      else await this.#discard()
      throw thrown
    }
  }

  async abort(): Promise<void> {
    if (!this.#isEnded && !this.#isFinishing) await this.#discard()
  }

  async #discard(): Promise<void> {
    this.#end()
    try {
      await this.#intake.abort()
      await removeInput(this.#parts.blobs, this.#fileId)
    } catch {
      // No row names what could not be removed: the next start sweeps it, and the caller learns what failed before.
    }
  }

  #store(file: StoredFile): Promise<StoredFile> {
    const { store, clock } = this.#parts
    return createOrFind(`file ${file.id}`, {
      create: () => store.files.create(file).then(() => file),
      find: () => store.files.get(file.id, file.tenantId),
      clock,
    })
  }

  #end(): void {
    this.#isEnded = true
    this.#context.onEnd()
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

/** @throws RefusedError for what OpenAI refuses whatever the bytes are */
function requireInputFacts(facts: { filename: string; purpose: string }): void {
  if (facts.purpose !== INPUT_PURPOSE) {
    throw new RefusedError(
      'invalid_purpose',
      `'${facts.purpose}' is not one of ['${INPUT_PURPOSE}'] - 'purpose'`,
    )
  }
  if (!facts.filename.endsWith('.jsonl')) throw wrongFormat()
}

const BLANKS: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d])
const BYTE_ORDER_MARK: readonly number[] = [0xef, 0xbb, 0xbf]
const JSON_BEGINNINGS: ReadonlySet<number> = new Set([0x7b, 0x5b])

/**
 * Does the content begin as JSON, blanks and a byte order mark aside? A file that does not is refused at the upload; whatever else
 * is wrong with its lines is told with their numbers, by the batch that is made of it.
 */
class JsonBeginning {
  isJson = false
  #isDecided = false
  #bytes = 0

  look(chunk: Uint8Array): void {
    for (let at = 0; !this.#isDecided && at < chunk.byteLength; at += 1) {
      const byte = chunk[at] ?? 0
      const isMark = byte === BYTE_ORDER_MARK[this.#bytes]
      this.#bytes += 1
      if (isMark || BLANKS.has(byte)) continue
      this.#isDecided = true
      this.isJson = JSON_BEGINNINGS.has(byte)
    }
  }
}

function wrongFormat(): RefusedError {
  return new RefusedError('invalid_file_format', 'Invalid file format for Batch API. Must be .jsonl')
}

/** All blobs of an input file. Absent ones are fine. */
export async function removeInput(blobs: Blobs, fileId: string): Promise<void> {
  for (const nameOf of Object.values(blobNames)) await blobs.remove(nameOf(fileId))
}
