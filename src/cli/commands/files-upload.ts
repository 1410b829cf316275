import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import type { CommandContext, CommandInput } from '../command.ts'
import { formatBytes, oneLine } from '../format.ts'
import { noteUpload } from '../user-files.ts'
import { overrideModel } from './batches-model-override.ts'
import { argument, textOption } from './input.ts'
import { requireFile } from './local-file.ts'
import { fileView } from './views.ts'

const READ_BYTES = 256 * 1024
const REDRAW_MS = 100

export async function run(context: CommandContext, input: CommandInput): Promise<number> {
  const { output } = context
  const path = argument(input, 0)
  const { bytes } = requireFile(path)
  const model = textOption(input, 'model')
  const client = await context.client()
  const progress = uploadProgress(context, { path, bytes })
  const content = (): AsyncIterable<Uint8Array> => {
    const source = createReadStream(path, { highWaterMark: READ_BYTES })
    return model === null ? source : overrideModel(source, model)
  }
  const file = await client.files.upload({
    name: basename(path),
    content,
    onProgress: progress.at,
    idempotencyKey: crypto.randomUUID(),
    signal: context.signal,
  })
  progress.end()
  noteUpload(context.env, context.serverUrl(), { id: file.id, name: file.filename, uploadedAt: Date.now() })
  output.object(file, fileView)
  output.say(`next: dw batches create --file ${file.id}`)
  return 0
}

/** Bytes on one line of a terminal; nothing elsewhere. */
function uploadProgress(
  context: CommandContext,
  file: { path: string; bytes: number },
): { at: (bytes: number) => void; end: () => void } {
  const { output } = context
  if (!output.isTerminal || output.isQuiet) return { at: () => undefined, end: () => undefined }
  let drawnAt = 0
  return {
    at(bytes) {
      const now = performance.now()
      if (now - drawnAt < REDRAW_MS) return
      drawnAt = now
      const percent = file.bytes === 0 ? 100 : Math.min(100, Math.floor((bytes / file.bytes) * 100))
      output.stderr.write(
        `\r\x1b[Kuploading ${oneLine(basename(file.path))}  ${percent}%  ${formatBytes(bytes)} of ${formatBytes(file.bytes)}`,
      )
    },
    end: () => void output.stderr.write('\r\x1b[K'),
  }
}
