/** Engines that say how long to wait, that are away, and that do not know their own models. */
import { errorReply, type Reply } from '../../test/kit/scripted-upstream.ts'
import { type Case, MINUTE_MS } from './case.ts'
import type { SeenCall } from './engine.ts'
import { busyFaults, doubtfulFaults } from './faults.ts'

const SECOND_MS = 1_000
/** Longest backoff, the longest step of the clock, and the time of a call. */
const LATE_MS = 45_000

/** The first call is told to come again later; the engine is fine for all others. */
function told(
  name: string,
  headers: (now: number) => Record<string, string>,
  silentMs: { from: number; to: number },
  status = 429,
): Case {
  return {
    name: `${status} with ${name}`,
    script: (call, { facts }) => {
      if (call.number > 0) return null
      return {
        ...errorReply(status, { code: 'rate_limit_exceeded' }),
        headers: { 'content-type': 'application/json', ...headers(facts.clock.now()) },
      }
    },
    stepMsMax: 4_000,
    expect: { callsPerLineMax: 2, silentMs },
  }
}

function exactly(ms: number): { from: number; to: number } {
  // An HTTP date has whole seconds.
  return { from: ms - SECOND_MS, to: ms + LATE_MS }
}

const soon = { from: 0, to: LATE_MS }
const httpDate = (at: number): string => new Date(at).toUTCString()

const toldCases: readonly Case[] = [
  told('Retry-After: 30', () => ({ 'retry-after': '30' }), exactly(30_000)),
  told('Retry-After: 7.5', () => ({ 'retry-after': '7.5' }), exactly(7_500)),
  told('Retry-After: 0', () => ({ 'retry-after': '0' }), soon),
  told('Retry-After as a date', (now) => ({ 'retry-after': httpDate(now + 40_000) }), exactly(39_000)),
  told('Retry-After in the past', (now) => ({ 'retry-after': httpDate(now - 3_600_000) }), soon),
  told('Retry-After: -5', () => ({ 'retry-after': '-5' }), soon),
  told('Retry-After: nonsense', () => ({ 'retry-after': 'in a while, maybe 3000' }), soon),
  told('an empty Retry-After', () => ({ 'retry-after': '' }), soon),
  told('Retry-After: 1e9', () => ({ 'retry-after': '1e9' }), soon),
  told('a huge Retry-After', () => ({ 'retry-after': '99999999999' }), exactly(10 * MINUTE_MS)),
  told(
    'a date a year away',
    (now) => ({ 'retry-after': httpDate(now + 31_536_000_000) }),
    exactly(10 * MINUTE_MS),
  ),
  told('retry-after-ms: 12000', () => ({ 'retry-after-ms': '12000' }), exactly(12_000)),
  told(
    'retry-after-ms before Retry-After',
    () => ({ 'retry-after-ms': '9000', 'retry-after': '300' }),
    exactly(9_000),
  ),
  told(
    'a broken retry-after-ms and Retry-After',
    () => ({ 'retry-after-ms': 'x', 'retry-after': '20' }),
    exactly(20_000),
  ),
  told('Retry-After: 60', () => ({ 'retry-after': '60' }), exactly(60_000), 503),
  told('Retry-After: 15', () => ({ 'retry-after': '15' }), exactly(15_000), 529),
]

/** An engine that never comes: the batch waits until its deadline and says why all the while. */
function never(name: string, more: Partial<Case>, reason: RegExp): Case {
  return {
    name,
    lines: () => 5,
    stepMsMax: 5 * MINUTE_MS,
    ...more,
    expect: { status: 'expired', callsPerLineMax: 0, lastsMs: 59 * MINUTE_MS, reason },
  }
}

const neverCases: readonly Case[] = [
  never('connection refused for ever', { url: () => 'http://127.0.0.1:1/v1' }, /ECONNREFUSED/),
  never('a name that nobody knows', { url: () => 'http://engine.invalid:8000/v1' }, /ENOTFOUND|EAI_AGAIN/),
  never('a certificate that signed itself', { hasTls: true }, /certificate/i),
  never('plain HTTP on a TLS port', { url: (real) => real.replace('http:', 'https:') }, /SSL|TLS|EPROTO/i),
  never(
    'TLS on a plain port',
    { hasTls: true, url: (real) => real.replace('https:', 'http:') },
    /^waiting: /,
  ),
]

/** `/v1/models` fails for a while in some way; the calls themselves would be answered. */
function withoutModels(name: string, reply: Reply, reason: RegExp): Case {
  return {
    name: `/v1/models ${name} for 5 min`,
    models: (atMs) => (atMs < 5 * MINUTE_MS ? reply : null),
    expect: { lastsMs: 5 * MINUTE_MS, reason },
  }
}

const modelCases: readonly Case[] = [
  withoutModels('answers 500', errorReply(500), /500 from/),
  withoutModels('answers 401', errorReply(401), /401 from/),
  withoutModels('answers HTML', { body: '<html>starting</html>' }, /HTML page/),
  withoutModels('answers broken JSON', { body: '{"data":[' }, /no JSON/),
  withoutModels('answers without a list', { body: { data: null } }, /list of models/),
  withoutModels('stalls', { breakAt: 'hang' }, /no answer within/),
  withoutModels('resets', { breakAt: 'reset' }, /^waiting: /),
  {
    name: 'a model that no engine ever listed',
    models: () => ({ body: { data: [{ id: 'another' }] } }),
    expect: { status: 'failed' },
  },
  {
    name: '/v1/models fails while the engine works',
    models: (atMs) => (atMs > 0 ? errorReply(500) : null),
    expect: {},
  },
  {
    name: 'a model that is gone for 5 min',
    models: (atMs) => (atMs > 0 && atMs < 5 * MINUTE_MS ? { body: { data: [] } } : null),
    script: (call) => (call.atMs < 4 * MINUTE_MS && call.number > 0 ? errorReply(401) : null),
    expect: { lastsMs: 5 * MINUTE_MS, reason: /^waiting: /, callsPerLineMax: 10 },
  },
]

/** Away for five minutes, then back without its models, then as before. */
function restarting(call: SeenCall): boolean {
  return call.number < 2
}

const DOWN_MS = 5 * MINUTE_MS
const awayCases: readonly Case[] = [
  {
    name: 'connection refused for 10 min',
    isOpen: (atMs) => atMs > 10 * MINUTE_MS,
    expect: { lastsMs: 10 * MINUTE_MS, reason: /ECONNREFUSED/ },
  },
  {
    name: 'an engine restarts for 5 min',
    // Its last calls before it goes are never answered.
    script: (call) => (restarting(call) || call.atMs > DOWN_MS ? null : { breakAt: 'hang' }),
    isOpen: (atMs) => atMs < 2 * SECOND_MS || atMs > DOWN_MS,
    models: (atMs) => (atMs > DOWN_MS && atMs < DOWN_MS + MINUTE_MS ? { body: { data: [] } } : null),
    expect: { lastsMs: DOWN_MS + MINUTE_MS, reason: /ECONNREFUSED/, callsPerLineMax: 4 },
  },
  {
    name: 'an engine that restarts every minute',
    isOpen: (atMs) => Math.floor(atMs / (30 * SECOND_MS)) % 2 === 0,
    script: (call) => (call.atMs < 75 * SECOND_MS ? { breakAt: 'hang' } : null),
    expect: { callsPerLineMax: 5 },
  },
  // From the first call on, so that nothing has ever succeeded; with few lines each is tried again and again.
  ...[
    ...doubtfulFaults.filter(({ name }) => ['500', 'HTML in a 200', 'reset before any byte'].includes(name)),
    ...busyFaults,
  ].flatMap((fault) =>
    [1, 3].map(
      (count): Case => ({
        name: `${fault.name} from the start for 10 min, ${count === 1 ? '1 line' : `${count} lines`}`,
        script: (call, engine) => (call.atMs < 10 * MINUTE_MS ? fault.answer(call, engine) : null),
        lines: () => count,
        expect: { lastsMs: 10 * MINUTE_MS, reason: fault.reason, callsPerLineMax: 60 },
      }),
    ),
  ),
  {
    name: '500 until the deadline',
    script: () => errorReply(500),
    stepMsMax: 2 * MINUTE_MS,
    expect: { status: 'expired', reason: /500 from/, callsPerLineMax: 300, lastsMs: 59 * MINUTE_MS },
  },
  {
    name: 'half of all calls get 500',
    script: (call) => (call.number % 2 === 0 && call.attempt < 3 ? errorReply(500) : null),
    expect: { callsPerLineMax: 5 },
  },
]

export const waitCases: readonly Case[] = [...toldCases, ...neverCases, ...modelCases, ...awayCases]
