/** Ways of an engine to answer badly. Each is tried on single calls, on one line for ever, and on all calls for minutes. */
import { gzipSync } from 'node:zlib'
import { errorReply, type Reply } from '../../test/kit/scripted-upstream.ts'
import { type Answer, type Engine, goodAnswer, type SeenCall } from './engine.ts'

export type Fault = {
  name: string
  answer: (call: SeenCall, engine: Engine) => Answer
  /** What the error line of a line that always meets it says. */
  status: number | null
  code: RegExp
  /** What is said of it while work waits. */
  reason: RegExp
  /** Each call takes as long as an engine may be silent. */
  isSlow?: boolean
}

const KIB = 1024
const NOT_JSON = /^not_a_json_object$/
const NO_ANSWER = /^upstream_failed$/

/** A connection that breaks, or bytes that are no HTTP answer. */
function broken(name: string, answer: Fault['answer'] | Answer, reason = /^waiting: /): Fault {
  return {
    name,
    answer: typeof answer === 'function' ? answer : () => answer,
    status: null,
    code: NO_ANSWER,
    reason,
  }
}

function stalled(name: string, answer: Fault['answer'] | Answer): Fault {
  return { ...broken(name, answer, /no byte for \d+ ms/), isSlow: true }
}

/** An answer that is well-formed HTTP and no JSON object. */
function wrongBody(name: string, reply: Reply, status = 200): Fault {
  return {
    name,
    answer: () => ({ status, headers: { 'content-type': 'application/json' }, ...reply }),
    status,
    code: NOT_JSON,
    reason: new RegExp(`^waiting: ${status}, not a JSON object from `),
  }
}

function status(code: number): Fault {
  return {
    name: `${code}`,
    answer: () => errorReply(code, { code: `scripted_${code}` }),
    status: code,
    code: new RegExp(`^scripted_${code}$`),
    reason: new RegExp(`^waiting: ${code} from .*scripted ${code}`),
  }
}

function raw(text: string, end: 'keep' | 'close' | 'reset' = 'close'): Answer {
  return { raw: { parts: [text], end } }
}

const JSON_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'

/** A peer that sends something every now and then and never comes to its answer. */
function endless(head: string, drip: string): Fault['answer'] {
  return (_call, engine) => {
    async function* parts(): AsyncGenerator<string> {
      yield head
      for (let count = 0; count < 1_000; count += 1) {
        await engine.wait(20_000)
        yield drip
      }
    }
    return { isSlow: true, raw: { parts: parts(), end: 'close' } }
  }
}

/** Met by a call, these may be the line's fault or the engine's. */
export const doubtfulFaults: readonly Fault[] = [
  broken('reset before any byte', { breakAt: 'reset' }),
  broken('reset in the headers', { breakAt: 'reset-in-headers', body: '{}' }),
  broken('reset in the body', { breakAt: 'reset-in-body', body: '{"half":"of this"}' }),
  broken('closed without an answer', raw('', 'close')),
  broken('closed in the body', { contentLength: 500, body: '{"shorter":"than announced"}' }),
  stalled('stall before the headers', { breakAt: 'hang' }),
  stalled('stall in the headers', { breakAt: 'hang-in-headers', body: '{}' }),
  stalled('stall in the body', { breakAt: 'hang-in-body', body: '{"half":"of this"}' }),
  stalled('headers without an end', endless(JSON_HEAD, 'x-drip: 1\r\n')),
  stalled('102 without an end', endless('', 'HTTP/1.1 102 Processing\r\n\r\n')),
  broken('chunks without a size', raw(`${JSON_HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`)),
  broken('chunks cut off', raw(`${JSON_HEAD}transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n`)),
  broken(
    'chunk longer than its size',
    raw(`${JSON_HEAD}transfer-encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n`),
  ),
  broken('two lengths', raw(`${JSON_HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`)),
  broken('negative length', raw(`${JSON_HEAD}content-length: -2\r\n\r\n{}`)),
  broken(
    'length and chunks',
    raw(`${JSON_HEAD}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`),
  ),
  broken('no HTTP at all', raw('SSH-2.0-OpenSSH_9.6\r\n')),
  broken('status of two digits', raw('HTTP/1.1 20 OK\r\ncontent-length: 2\r\n\r\n{}')),
  broken(
    'header of 100 KB',
    raw(`${JSON_HEAD}x-bomb: ${'x'.repeat(100 * KIB)}\r\ncontent-length: 2\r\n\r\n{}`),
  ),
  broken(
    'thousands of headers',
    raw(`${JSON_HEAD}${'x-bomb: 123456\r\n'.repeat(5_000)}content-length: 2\r\n\r\n{}`),
  ),
  broken('line break in a header name', raw(`${JSON_HEAD}x bad\u0000name: 1\r\ncontent-length: 2\r\n\r\n{}`)),
  broken('control character in a header', raw(`${JSON_HEAD}x-bad: \u0007\r\ncontent-length: 2\r\n\r\n{}`)),
  broken(
    '101 to another protocol',
    raw('HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n'),
  ),
  wrongBody('HTML in a 200', {
    headers: { 'content-type': 'text/html' },
    body: '<html><body>proxy</body></html>',
  }),
  wrongBody('invalid JSON in a 200', { body: '{"choices":[}' }),
  wrongBody('half a JSON text in a 200', { body: '{"choices":[{"index":0' }),
  wrongBody('empty body in a 200', { body: '' }),
  wrongBody('null in a 200', { body: 'null' }),
  wrongBody('list in a 200', { body: '[{"choices":[]}]' }),
  wrongBody('number in a 200', { body: '17' }),
  wrongBody('text in a 200', { body: '"fine"' }),
  wrongBody('two objects in a 200', { body: '{"a":1}{"a":2}' }),
  wrongBody(
    'length shorter than the body',
    raw(`${JSON_HEAD}content-length: 5\r\n\r\n{"a":"the rest is cut"}`),
  ),
  wrongBody('byte order mark before the JSON', { body: '\ufeff{"a":1}' }),
  wrongBody('invalid UTF-8 in a 200', {
    body: Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xc3, 0x28, 0xff]), Buffer.from('"}')]),
  }),
  wrongBody('UTF-16 in a 200', { body: Buffer.from('{"a":1}', 'utf16le') }),
  wrongBody('gzip that nobody asked for', {
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
    body: gzipSync('{"a":1}'),
  }),
  wrongBody('event stream in a 200', {
    headers: { 'content-type': 'text/event-stream' },
    body: 'data: {"choices":[]}\n\ndata: [DONE]\n\n',
  }),
  wrongBody('204', raw('HTTP/1.1 204 No Content\r\n\r\n'), 204),
  wrongBody('HTML in a 502', { body: '<html>bad gateway</html>' }, 502),
  ...[408, 409, 425, 500, 502, 504, 520, 599].map(status),
]

/** The engine or the way to it: no line can be blamed. */
export const upstreamFaults: readonly Fault[] = [
  ...[401, 402, 403, 407].map(status),
  {
    ...status(429),
    name: '429 insufficient_quota',
    answer: () => errorReply(429, { code: 'insufficient_quota' }),
  },
  ...[301, 302, 303, 307, 308].map((code) => redirect(code, 'to itself', '/v1/chat/completions')),
  redirect(302, 'to another path', '/v1/trap'),
  redirect(307, 'to another server', 'http://169.254.1.1/v1/chat/completions'),
  redirect(302, 'without an address', null),
]

/** The engine is busy. */
export const busyFaults: readonly Fault[] = [429, 503, 529].map((code) => ({
  ...status(code),
  reason: /^waiting: .*(is busy|scripted)/,
}))

function redirect(code: number, where: string, location: string | null): Fault {
  return {
    name: `${code} ${where}`,
    answer: () => ({ status: code, headers: location === null ? {} : { location }, body: '' }),
    status: code,
    code: NOT_JSON,
    reason: new RegExp(`^waiting: ${code}, not a JSON object from `),
  }
}

/** An answer that comes by itself one byte at a time, slowly but never too slowly. */
export function dripped(call: SeenCall, engine: Engine, bytesPerDrip: number): Answer {
  const answer = goodAnswer(call)
  const body = Buffer.from(answer.good ?? '')
  async function* parts(): AsyncGenerator<string | Uint8Array> {
    yield `${JSON_HEAD}content-length: ${body.byteLength}\r\n\r\n`
    for (let from = 0; from < body.byteLength; from += bytesPerDrip) {
      await engine.wait(20_000)
      yield body.subarray(from, from + bytesPerDrip)
    }
  }
  return { isSlow: true, good: body, raw: { parts: parts(), end: 'keep' } }
}
