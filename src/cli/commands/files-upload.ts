import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import type { CommandContext, CommandInput } from '../command.ts'
import { pasteable } from '../pasteable.ts'
import { createByteProgress } from '../progress-bytes.ts'
import { noteUpload } from '../user-files.ts'
import { overrideModel } from './batches-model-override.ts'
import { argument, textOption } from './input.ts'
import { requireFile } from './local-file.ts'
import { fileView } from './views.ts'

const READ_BYTES = 256 * 1024

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const path = argument(input, 0)
  const { bytes } = requireFile(path)
  const model = textOption(input, 'model')
  const client = await context.client()
  const progress = createByteProgress(output, { label: `sending ${path}`, total: bytes })
  const content = (): AsyncIterable<Uint8Array> => {
    const source = createReadStream(path, { highWaterMark: READ_BYTES })
    return model === null ? source : overrideModel(source, model)
  }
  const sending = client.files.upload({
    name: basename(path),
    content,
    onProgress: progress.update,
    idempotencyKey: crypto.randomUUID(),
    signal: context.signal,
  })
  const file = await sending.finally(progress.end)
  noteUpload(context.env, context.serverUrl(), { id: file.id, name: file.filename, uploadedAt: Date.now() })
  output.object(file, fileView)
  output.say(`next: ${pasteable(['batches', 'create', '--file', file.id])}`)
  return 0
}
