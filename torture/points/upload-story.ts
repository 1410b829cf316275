/**
 * Uploads, a blob written on the main thread, and a file that is deleted again. What was acknowledged is there byte for byte, what
 * was deleted stays away, and nothing else remains when the work has ended.
 */
import { join } from 'node:path'
import { type Blobs, blobNames } from '../../src/blobs/blobs.ts'
import { openDiskBlobs } from '../../src/blobs/disk-blobs.ts'
import { removeTemporaries } from '../../src/blobs/temporary.ts'
import { removeInput } from '../../src/engine/file-service.ts'
import { UploadInWorker } from '../../src/engine/intake-upload.ts'
import { makeDurableFolder } from '../../src/lib/disk.ts'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { createSimulatedDisk, type SimulatedDisk } from '../../test/kit/simulated-disk.ts'
import { createSimulatedFiles } from '../../test/kit/simulated-files.ts'
import { DATA_FOLDER, readWhole, type Story, type Telling } from './story.ts'

const FOLDER = join(DATA_FOLDER, 'blobs')
const CHUNK_BYTES = 1_500
const LINES = 12
const DELETED_ID = 'file-1'
const PUT_NAME = 'file-4.data'
/** Two models, so that there is a plan beside data and index; one with a line that is refused, so that there are findings. */
const texts = new Map([
  ['file-1', textOf('file-1')],
  ['file-2', textOf('file-2')],
  ['file-3', `${textOf('file-3')}{"custom_id":\n`],
])

function textOf(id: string): string {
  return jsonl(
    Array.from({ length: LINES }, (_, number) =>
      chatLine(number, { model: number % 2 === 0 ? 'a' : 'b', content: id }),
    ),
  )
}

/** Rows of the database: made only when the upload was acknowledged, hidden before bytes are removed. */
type Facts = { files: Set<string>; hidden: Set<string> }

export const uploadStory: Story = {
  name: 'uploads',
  bytesFree: 0,
  begin: () => tell({ files: new Set(), hidden: new Set() }),
}

function tell(facts: Facts): Telling {
  return {
    async start(disk) {
      const blobs = open(disk)
      return [...(await missing(blobs, facts)), ...(await leftovers(blobs, facts, { areKnownOnly: true }))]
    },
    async finish(disk) {
      const blobs = open(disk)
      await sweep(blobs, facts)
      for (const [id, text] of texts) {
        if (facts.files.has(id)) continue
        upload(disk, id, Buffer.from(text))
        facts.files.add(id)
        if (id === DELETED_ID) facts.hidden.add(id)
        await removeHidden(blobs, facts)
      }
      await removeHidden(blobs, facts)
      if (!facts.files.has(PUT_NAME)) {
        await blobs.put(PUT_NAME, chunksOf(Buffer.from(textOf(PUT_NAME))))
        facts.files.add(PUT_NAME)
      }
      return [...(await missing(blobs, facts)), ...(await leftovers(blobs, facts, { areKnownOnly: false }))]
    },
    copy: () => tell({ files: new Set(facts.files), hidden: new Set(facts.hidden) }),
  }
}

/** As the server does it: the data folder, the blobs, and the sync of the data folder that the result log makes. */
function open(disk: SimulatedDisk): Blobs {
  makeDurableFolder(disk, DATA_FOLDER)
  const blobs = openDiskBlobs({ folder: FOLDER, disk, files: createSimulatedFiles(disk) })
  disk.syncFolder(DATA_FOLDER)
  removeTemporaries(disk, FOLDER, 'intake')
  return blobs
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
  for (const chunk of chunksOf(bytes)) running.write(chunk)
  running.finish()
}

function chunksOf(bytes: Buffer): Buffer[] {
  const count = Math.ceil(bytes.byteLength / CHUNK_BYTES)
  return Array.from({ length: count }, (_, number) =>
    bytes.subarray(number * CHUNK_BYTES, (number + 1) * CHUNK_BYTES),
  )
}

/** Bytes go before the row that leads to them, so a crash in between meets the row again. */
async function removeHidden(blobs: Blobs, { hidden }: Facts): Promise<void> {
  for (const id of hidden) await removeInput(blobs, id)
}

/** What no row names goes, as at each start of the server. */
async function sweep(blobs: Blobs, facts: Facts): Promise<void> {
  for await (const name of blobs.list()) if (!isNamed(name, facts)) await blobs.remove(name)
}

function isNamed(name: string, { files, hidden }: Facts): boolean {
  const id = name.slice(0, name.lastIndexOf('.'))
  return files.has(name) || (files.has(id) && !hidden.has(id))
}

/** @returns what was acknowledged and is not there as it was given */
async function missing(blobs: Blobs, facts: Facts): Promise<string[]> {
  const wrong: string[] = []
  for (const [name, bytes] of wholeBlobs) {
    if (!isNamed(name, facts)) continue
    const size = await blobs.size(name)
    if (size === null) {
      wrong.push(`${name} was acknowledged and is gone`)
      continue
    }
    const found = Buffer.alloc(size)
    await blobs.readInto(name, found, 0)
    if (!found.equals(bytes)) wrong.push(`${name} was acknowledged and has other bytes`)
  }
  return wrong
}

/** @returns blobs that nobody ever gave, or at the end: that no row names */
async function leftovers(blobs: Blobs, facts: Facts, options: { areKnownOnly: boolean }): Promise<string[]> {
  const wrong: string[] = []
  for await (const name of blobs.list()) {
    if (!wholeBlobs.has(name)) wrong.push(`${name} was made up`)
    else if (!options.areKnownOnly && !isNamed(name, facts)) wrong.push(`${name} was removed and is there`)
  }
  return wrong
}

/** Every blob of the same work without a crash and without the deletion, to compare with. */
const wholeBlobs = await undisturbed()

async function undisturbed(): Promise<Map<string, Buffer>> {
  const disk = createSimulatedDisk()
  const blobs = open(disk)
  for (const [id, text] of texts) upload(disk, id, Buffer.from(text))
  await blobs.put(PUT_NAME, chunksOf(Buffer.from(textOf(PUT_NAME))))
  const whole = new Map<string, Buffer>()
  for await (const name of blobs.list())
    whole.set(name, readWhole(disk, join(FOLDER, name)) ?? Buffer.alloc(0))
  for (const nameOf of [blobNames.data, blobNames.index, blobNames.plan, blobNames.findings])
    if (![...texts.keys()].some((id) => whole.has(nameOf(id))))
      throw new Error(`no blob like ${nameOf('file-1')} is written`)
  return whole
}
