/** Good answers in strange forms, refusals in strange forms, and bytes around the answer. */
import { errorReply, plainAnswer } from '../../test/kit/scripted-upstream.ts'
import type { Case } from './case.ts'
import { type Answer, type Engine, goodAnswer, type SeenCall } from './engine.ts'
import { dripped } from './faults.ts'

const MIB = 1024 ** 2
const JSON_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n'

/** The answer of a call with bytes before its head, in its head and behind its body, in one piece. */
function around(
  call: SeenCall,
  bytes: { before?: string; inHead?: string; behind?: string; end?: 'keep' | 'close' | 'reset' },
): Answer {
  const { good = new Uint8Array() } = goodAnswer(call)
  const head = `${bytes.before ?? ''}${JSON_HEAD}${bytes.inHead ?? ''}content-length: ${good.byteLength}\r\n\r\n`
  const parts = [Buffer.concat([Buffer.from(head), good, Buffer.from(bytes.behind ?? '')])]
  return { good, raw: { parts, end: bytes.end ?? 'keep' } }
}

function fine(name: string, script: (call: SeenCall, engine: Engine) => Answer): Case {
  return { name, script, expect: {} }
}

/** Good answers whose text is not what `JSON.stringify` would write. */
const texts: Readonly<Record<string, (call: SeenCall) => string | Uint8Array>> = {
  'line breaks in the answer': (call) => JSON.stringify(plainAnswer(call), null, 2).replaceAll('\n', '\r\n'),
  'spaces and order of the answer': (call) =>
    `  { "z" : 1 ,\t"choices":[ { "message":{"content": "${call.bodyHash}"}} ] }  `,
  'numbers that no number holds': () =>
    '{"a":1e999,"b":0.1000000000000000055511151231257827,"c":12345678901234567890}',
  'a key twice, and __proto__': () => '{"a":1,"a":2,"__proto__":{"isAdmin":true},"constructor":null}',
  'half a character, escaped': () => '{"a":"\\ud800","b":"\\u0000","c":"\u2028\u2029"}',
  'a deep answer': () => `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  'an error object inside a 200': () =>
    '{"error":{"message":"no","type":"server_error","code":"insufficient_quota"}}',
  'usage that is no usage': (call) =>
    JSON.stringify({
      ...plainAnswer(call),
      usage: { prompt_tokens: -1, completion_tokens: '7', total_tokens: null },
    }),
  'usage beyond every counter': (call) =>
    JSON.stringify({
      ...plainAnswer(call),
      usage: { prompt_tokens: 1e300, completion_tokens: 4_294_967_296 },
    }),
  'an empty object': () => '{}',
}

const evilIds = ['"},"error":{"code":"evil"}', 'two words', '\t\u00ff', 'x'.repeat(4_000), '', '{}\\']

export const answerCases: readonly Case[] = [
  ...Object.entries(texts).map(([name, text]) => fine(name, (call) => goodAnswer(call, text(call)))),
  fine('slow drip', (call, engine) => (call.line === 1 ? dripped(call, engine, 16) : around(call, {}))),
  fine('the same answer twice', (call) => {
    const once = around(call, {})
    const [bytes] = [...((once.raw?.parts ?? []) as Iterable<Uint8Array>)]
    return {
      ...once,
      raw: { parts: [Buffer.concat([bytes ?? Buffer.alloc(0), bytes ?? Buffer.alloc(0)])], end: 'keep' },
    }
  }),
  fine('an answer for another line behind it', (call) =>
    around(call, { behind: `${JSON_HEAD}content-length: 9\r\n\r\n{"a":"b"}` }),
  ),
  fine('extra bytes behind the body', (call) => around(call, { behind: 'garbage{"a":1}' })),
  fine('line breaks behind the body', (call) => around(call, { behind: '\r\n\r\n' })),
  fine('103 before the answer', (call) =>
    around(call, { before: 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n' }),
  ),
  {
    name: '100 before the answer, though nobody waits for it',
    script: (call) =>
      call.attempt === 0 && call.line % 4 === 1
        ? around(call, { before: 'HTTP/1.1 100 Continue\r\n\r\n' })
        : null,
    expect: { callsPerLineMax: 2 },
  },
  fine('a hundred 102 before the answer', (call) =>
    around(call, { before: 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100) }),
  ),
  fine('headers by the hundred', (call) => around(call, { inHead: 'x-a: 1\r\n'.repeat(500) })),
  fine('HTTP/1.0 without a length', (call) => {
    const { good = new Uint8Array() } = goodAnswer(call)
    return { good, raw: { parts: ['HTTP/1.0 200 OK\r\n\r\n', good], end: 'close' } }
  }),
  fine('chunks with trailers', (call) => {
    const { good = new Uint8Array() } = goodAnswer(call)
    const size = good.byteLength.toString(16)
    const parts = [
      `${JSON_HEAD}transfer-encoding: chunked\r\n\r\n${size};a=b\r\n`,
      good,
      '\r\n0\r\nx-sum: 1\r\n\r\n',
    ]
    return { good, raw: { parts, end: 'keep' } }
  }),
  fine('closes after each answer, and says so', (call) =>
    around(call, { inHead: 'connection: close\r\n', end: 'close' }),
  ),
  // With many calls at once a line may meet one closed connection after the other.
  {
    ...fine('closes after each answer in silence', (call) => around(call, { end: 'close' })),
    expect: { callsPerLineMax: 10 },
  },
  {
    ...fine('resets after each answer in silence', (call) => around(call, { end: 'reset' })),
    expect: { callsPerLineMax: 10 },
  },
  fine('evil ids of calls', (call) => {
    const id = evilIds[call.line % evilIds.length] ?? ''
    return around(call, { inHead: `x-request-id: ${id}\r\n` })
  }),
  fine('201 and 206 are answers', (call) => ({
    ...goodAnswer(call),
    status: call.line % 2 === 0 ? 201 : 206,
  })),
  {
    name: '50 MB answer',
    script: (call) =>
      call.line === 1
        ? goodAnswer(call, JSON.stringify({ ...plainAnswer(call), more: 'x'.repeat(50 * MIB) }))
        : null,
    lines: () => 6,
    expect: {},
  },
  {
    name: 'answer beyond the limit',
    script: (call) => (call.line === 1 ? { body: Buffer.alloc(64 * MIB + 1, 'x') } : null),
    lines: () => 6,
    expect: {
      failing: {
        isFailing: (line) => line === 1,
        status: null,
        code: /^(upstream_failed|answer_too_large)$/,
      },
    },
  },
  {
    name: 'refusals without JSON',
    script: (call) =>
      call.line % 2 === 0
        ? { status: 400, body: ['<html>\n"no"</html>', '', Buffer.from([0xff, 0xfe])][call.line % 3] ?? '' }
        : null,
    expect: { failing: { isFailing: (line) => line % 2 === 0, status: 400, code: /^not_a_json_object$/ } },
  },
  {
    name: '404 model_not_found of a model that is listed',
    script: (call) => (call.line === 1 ? errorReply(404, { code: 'model_not_found' }) : null),
    expect: { failing: { isFailing: (line) => line === 1, status: 404, code: /^model_not_found$/ } },
  },
]
