/** The table of the suite: one row for each thing that an engine does. */
import { errorReply } from '../../test/kit/scripted-upstream.ts'
import { answerCases } from './answer-cases.ts'
import { ATTEMPTS, type Case, MINUTE_MS } from './case.ts'
import { busyFaults, doubtfulFaults, type Fault, upstreamFaults } from './faults.ts'
import { waitCases } from './wait-cases.ts'

/** The line that alone is bad. */
const BAD_LINE = 2
/** Longest delay between two probes is 30 s, of which at least half is waited; the first ones come faster. */
function trialsWithin(ms: number): number {
  return ms / 15_000 + 10
}

/** Every fourth line meets the fault once, its neighbours never. */
function once(fault: Fault): Case {
  return {
    name: `${fault.name}, once`,
    script: (call, engine) => (call.line % 4 === 1 && call.attempt === 0 ? fault.answer(call, engine) : null),
    expect: { callsPerLineMax: 3 },
  }
}

/** One line meets it always, its neighbours never. */
function oneLine(fault: Fault): Case {
  return {
    name: `${fault.name}, one line always`,
    script: (call, engine) => (call.line === BAD_LINE ? fault.answer(call, engine) : null),
    expect: {
      failing: { isFailing: (line) => line === BAD_LINE, status: fault.status, code: fault.code },
      // A first failure that no neighbour contradicts counts for nothing.
      callsPerLineMax: ATTEMPTS + 1,
    },
  }
}

/** After a first round all calls meet it for so long; then the engine is as before. */
function outage(fault: Fault, forMs: number): Case {
  return {
    name: `${fault.name}, for ${forMs / MINUTE_MS} min`,
    script: (call, engine) =>
      call.number >= engine.facts.concurrency && call.atMs < forMs ? fault.answer(call, engine) : null,
    expect: {
      lastsMs: forMs,
      reason: fault.reason,
      callsPerLineMax: trialsWithin(forMs),
      callsMoreMax: (concurrency) => 3 * concurrency + trialsWithin(forMs),
    },
  }
}

const refusals: readonly Case[] = [400, 404, 405, 410, 413, 415, 418, 422, 431, 451].map((code) => ({
  name: `${code} for some lines`,
  script: (call) =>
    call.line % 3 === 0 ? errorReply(code, { code: 'scripted', type: 'invalid_request_error' }) : null,
  expect: { failing: { isFailing: (line) => line % 3 === 0, status: code, code: /^scripted$/ } },
}))

export const cases: readonly Case[] = [
  ...doubtfulFaults.flatMap((fault) => [
    once(fault),
    oneLine(fault),
    outage(fault, fault.isSlow ? 10 * MINUTE_MS : 2 * MINUTE_MS),
  ]),
  ...upstreamFaults.flatMap((fault) => [once(fault), outage(fault, 2 * MINUTE_MS)]),
  ...busyFaults.flatMap((fault) => [once(fault), outage(fault, 10 * MINUTE_MS)]),
  ...refusals,
  ...answerCases,
  ...waitCases,
]
