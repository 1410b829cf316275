/** Two uploads: the first is acknowledged before the second begins. What was acknowledged is there byte for byte, and nothing by half. */
import { blobNames } from '../../src/blobs/blobs.ts'
import { removeTemporaries } from '../../src/blobs/temporary.ts'
import { UploadInWorker } from '../../src/engine/intake-upload.ts'
import { TroubleError } from '../../src/lib/errors.ts'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { CrashError, createSimulatedDisk, type SimulatedDisk } from '../../test/kit/simulated-disk.ts'
import type { Story } from './story.ts'

const FOLDER = '/blobs'
const CHUNK_BYTES = 700
/** Two models, so that there is a plan beside data and index. */
const texts = new Map(
  ['file-1', 'file-2'].map((id) => [
    id,
    jsonl(
      Array.from({ length: 12 }, (_, number) =>
        chatLine(number, { model: number % 2 === 0 ? 'a' : 'b', content: id }),
      ),
    ),
  ]),
)

export const uploadStory: Story = {
  name: 'uploads',
  run(disk) {
    const acknowledged: string[] = []
    try {
      disk.makeFolder(FOLDER)
      disk.syncFolder('/')
      for (const [id, text] of texts) {
        upload(disk, id, Buffer.from(text))
        acknowledged.push(id)
      }
    } catch (thrown) {
      if (!(thrown instanceof CrashError || thrown instanceof TroubleError)) throw thrown
    }
    return (after) => check(after, acknowledged)
  },
}

function upload(disk: SimulatedDisk, fileId: string, bytes: Buffer): void {
  const limits = { lineBytesMax: 10_000, fileLinesMax: 100 }
  const running = new UploadInWorker({
    disk,
    folder: FOLDER,
    fileId,
    seed: new Uint8Array(16),
    limits,
    onSyncFailure: () => undefined,
  })
  for (let at = 0; at < bytes.byteLength; at += CHUNK_BYTES)
    running.write(bytes.subarray(at, at + CHUNK_BYTES))
  running.finish()
}

function check(disk: SimulatedDisk, acknowledged: readonly string[]): string[] {
  if (disk.exists(FOLDER)) removeTemporaries(disk, FOLDER, 'intake')
  // What lies there of a file that was not acknowledged has no row, and is swept.
  const paths = acknowledged.flatMap((id) =>
    [blobNames.data, blobNames.index, blobNames.plan].map((nameOf) => `${FOLDER}/${nameOf(id)}`),
  )
  return paths.flatMap((path) => {
    if (!disk.exists(path)) return [`${path} was acknowledged and is gone`]
    return read(disk, path).equals(read(undisturbed, path))
      ? []
      : [`${path} was acknowledged and has other bytes`]
  })
}

function read(disk: SimulatedDisk, path: string): Buffer {
  const file = disk.open(path, 'read')
  const bytes = Buffer.alloc(disk.size(file))
  disk.read(file, bytes, 0)
  disk.close(file)
  return bytes
}

/** The same uploads without a crash, to compare with. */
const undisturbed = createSimulatedDisk()
uploadStory.run(undisturbed)
