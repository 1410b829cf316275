/** Events of a text/event-stream body, as the standard reads them; a last event without its blank line counts too. */

/** Guess: no service sends more in one line. */
const LINE_CHARACTERS_MAX = 64 * 1024 * 1024

/** Yields the data of each event. @throws Error for a line over the limit, or what the body throws */
export async function* serverSentEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let data: string[] = []
  for await (const line of lines(body)) {
    if (line === '') {
      if (data.length > 0) yield data.join('\n')
      data = []
    }
    // Names, ids and comments say nothing that is needed here.
    const value = /^data(?:: ?|$)/.exec(line)
    if (value !== null) data.push(line.slice(value[0].length))
  }
  if (data.length > 0) yield data.join('\n')
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  // Characters may be cut anywhere between two chunks.
  const decoder = new TextDecoder()
  let begun: string[] = []
  let characters = 0
  let mayEndPair = false
  for await (const chunk of body) {
    let text = decoder.decode(chunk, { stream: true })
    // The second half of a line end whose first half ended the chunk before.
    if (mayEndPair && text.startsWith('\n')) text = text.slice(1)
    if (text === '') continue
    mayEndPair = text.endsWith('\r')
    const parts = text.split(/\r\n|\n|\r/)
    const rest = parts.pop() ?? ''
    for (const part of parts) {
      yield begun.join('') + part
      begun = []
      characters = 0
    }
    begun.push(rest)
    characters += rest.length
    if (characters > LINE_CHARACTERS_MAX)
      throw new Error(`a line of the answer exceeds ${LINE_CHARACTERS_MAX} characters`)
  }
  const last = begun.join('') + decoder.decode()
  if (last !== '') yield last
}
