/** A multipart form with one file, as a stream: the file is never held in memory. */

export type FormFile = { name: string; content: () => AsyncIterable<Uint8Array> }

/** @param onProgress bytes of the file handed to the network so far */
export function formBody(
  fields: Readonly<Record<string, string>>,
  file: FormFile,
  onProgress: (bytes: number) => void,
): { content: ReadableStream<Uint8Array>; type: string } {
  const boundary = `dw-${crypto.randomUUID()}`
  const parts = formParts(boundary, { fields, file, onProgress })
  const content = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await parts.next()
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await parts.return(undefined)
    },
  })
  return { content, type: `multipart/form-data; boundary=${boundary}` }
}

async function* formParts(
  boundary: string,
  form: { fields: Readonly<Record<string, string>>; file: FormFile; onProgress: (bytes: number) => void },
): AsyncGenerator<Uint8Array, undefined> {
  const text = new TextEncoder()
  for (const [name, value] of Object.entries(form.fields)) {
    yield text.encode(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`)
  }
  const name = form.file.name.replaceAll('"', '%22').replaceAll(/[\r\n]/g, ' ')
  yield text.encode(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`,
  )
  let bytes = 0
  for await (const chunk of form.file.content()) {
    yield chunk
    bytes += chunk.byteLength
    form.onProgress(bytes)
  }
  yield text.encode(`\r\n--${boundary}--\r\n`)
  return undefined
}
