/** The intake's thread: one `UploadInWorker` per upload; calls of several uploads interleave, those of one come in order. */
import { removeTemporaries } from '../blobs/temporary.ts'
import { systemDisk } from '../lib/disk.ts'
import { TroubleError } from '../lib/errors.ts'
import { receivedWorkerData, serveWorker } from '../lib/worker-channel.ts'
import type { BeginCall, IntakeWorkerData, UploadCall, WriteCall, WriteReply } from './intake.ts'
import { UploadInWorker } from './intake-upload.ts'

const { blobFolder, limits } = receivedWorkerData<IntakeWorkerData>()
const uploads = new Map<number, UploadInWorker>()

systemDisk.makeFolder(blobFolder)
removeTemporaries(systemDisk, blobFolder, 'intake')

serveWorker({
  begin({ uploadNumber, fileId, seed }: BeginCall) {
    const upload = new UploadInWorker({
      disk: systemDisk,
      folder: blobFolder,
      fileId,
      seed,
      limits,
      onSyncFailure: endThread,
    })
    uploads.set(uploadNumber, upload)
  },
  write({ uploadNumber, chunk }: WriteCall): WriteReply {
    guarded(uploadNumber, (upload) => upload.write(chunk))
    return { transfer: [chunk.buffer] }
  },
  finish({ uploadNumber }: UploadCall) {
    const inspection = guarded(uploadNumber, (upload) => upload.finish())
    uploads.delete(uploadNumber)
    return inspection
  },
  abort: ({ uploadNumber }: UploadCall) => remove(uploadNumber),
  stop() {
    for (const uploadNumber of uploads.keys()) remove(uploadNumber)
  },
})

/** Acts on an upload; one that fails leaves nothing, and what is still on its way to it is refused. */
function guarded<T>(uploadNumber: number, act: (upload: UploadInWorker) => T): T {
  const upload = uploads.get(uploadNumber)
  if (upload === undefined) throw new TroubleError('stopped', 'this upload has ended')
  try {
    return act(upload)
  } catch (thrown) {
    remove(uploadNumber)
    throw thrown
  }
}

function remove(uploadNumber: number): void {
  const upload = uploads.get(uploadNumber)
  uploads.delete(uploadNumber)
  upload?.abort()
}

/** After a failed sync nothing more may be promised: the thread dies, and with it the process. */
function endThread(thrown: unknown): void {
  setImmediate(() => {
    throw thrown
  })
}
