/** A real server, raw requests: it always answers, never with 5xx, in OpenAI's form, and takes uploads byte for byte. */
import { connect } from 'node:net'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { startTestServer } from '../../test/kit/running-server.ts'
import type { Target } from './target.ts'

/** A server that has not answered by then hangs. */
const ANSWER_MS_MAX = 20_000

/** @param options hidesFailures: the defect, a reply with 5xx counts as one with 4xx */
export async function httpTarget(options: { answersAs: (status: number) => number }): Promise<Target> {
  const server = await startTestServer({ limits: { fileBytesMax: 1_000_000 } })
  const host = `127.0.0.1:${server.port}`
  const form = (body: string, boundary = 'b'): string =>
    `POST /v1/files HTTP/1.1\r\nHost: ${host}\r\nContent-Type: multipart/form-data; boundary=${boundary}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  const part = (name: string, value: string, more = ''): string =>
    `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
  const json = (method: string, path: string, body: unknown): string => {
    const text = JSON.stringify(body)
    return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`
  }
  const get = (path: string, headers = ''): string =>
    `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${headers}\r\n`
  const lines = jsonl([chatLine(1), chatLine(2)])
  return {
    name: 'HTTP',
    seeds: [
      form(`${part('purpose', 'batch')}${part('file', lines, '; filename="a.jsonl"')}--b--\r\n`),
      json('POST', '/v1/batches', {
        input_file_id: 'file-2al2le2jx4tvnkcgncqtpdr34m',
        endpoint: '/v1/chat/completions',
        completion_window: '24h',
        metadata: { a: 'b' },
      }),
      get('/v1/files?limit=10&order=asc&after=file-2al2le2jx4tvnkcgncqtpdr34m&purpose=batch'),
      get('/v1/batches?limit=100&active_first=true'),
      get(
        '/v1/files/file-2al2le2jx4tvnkcgncqtpdr34m/content?skip=3',
        'Range: bytes=0-10\r\nIf-None-Match: "x"\r\n',
      ),
      json('POST', '/v1/batches/batch_2al2le2jx4tvnkcgncqtpdr34m/retry', { include_cancelled: true }),
      json('POST', '/v1/batches/batch_2al2le2jx4tvnkcgncqtpdr34m/cancel', {}),
      `DELETE /v1/files/..%2f..%2fetc HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      get('/v1/models/%E2%28%A1'),
    ].map((text) => Buffer.from(text)),
    async run(input) {
      const reply = await send(server.port, input)
      if (reply === null) return 'no answer in time'
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(reply)?.[1]
      // A request that never came to its end has no answer; nor has what is none.
      if (status === undefined) return reply === '' ? null : `no HTTP: ${reply.slice(0, 60)}`
      if (options.answersAs(Number(status)) >= 500) return `answered with ${status}: ${reply.slice(-300)}`
      if (/node_modules|\.ts:\d|at Object\./.test(reply)) return `a stack is shown: ${reply.slice(-300)}`
      if (Number(status) >= 400 && !/"error":\{/.test(reply))
        return `an error without a body in its form: ${reply.slice(0, 300)}`
      if ('polluted' in {}) return 'the prototype of all objects was changed'
      return null
    },
    stop: () => server.remove(),
  }
}

/** Sends and half-closes, so that a request that announces more than it has comes to its end. @returns null when nothing ends in time */
function send(port: number, bytes: Buffer): Promise<string | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(bytes))
    const timer = setTimeout(() => {
      socket.destroy()
      resolve(null)
    }, ANSWER_MS_MAX)
    const end = (): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve(Buffer.concat(chunks).toString('latin1'))
    }
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      // Connections stay open between requests: the first answer is enough.
      if (isWhole(Buffer.concat(chunks).toString('latin1'))) end()
    })
    socket.once('end', end)
    socket.once('error', end)
  })
}

function isWhole(reply: string): boolean {
  const head = reply.indexOf('\r\n\r\n')
  const length = /content-length: (\d+)/i.exec(reply.slice(0, head))?.[1]
  return head !== -1 && length !== undefined && reply.length >= head + 4 + Number(length)
}
