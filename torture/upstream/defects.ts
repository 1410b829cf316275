/**
 * Promises broken on purpose, from outside: by something between the server and its engine that changes what goes over the wire, or
 * between the server and its client. Each shows that a check can fail.
 */
import { errorReply } from '../../test/kit/scripted-upstream.ts'
import { type Answer, type Engine, goodAnswer, type SeenCall } from './engine.ts'
import type { Outcome, Tamper } from './world.ts'

export type Defect = Tamper & {
  does: string
  /** Cases that it would pass unseen if their checks were worth nothing. */
  on: RegExp
}

const QUIET = /^400 for some lines$/

/** The answer to the call before it, sent for this one. */
function mixed(call: SeenCall, engine: Engine): Answer | null {
  const before = engine.calls.at(-2)
  const { good } = goodAnswer(call)
  return before === undefined || good === undefined ? null : { ...goodAnswer(before), good }
}

function changeText(from: RegExp | string, to: string): (outcome: Outcome) => Outcome {
  return (outcome) => ({ ...outcome, output: outcome.output.replace(from, to) })
}

function withoutLines(text: string, isGone: (line: string, at: number) => boolean): string {
  return text
    .split('\n')
    .filter((line, at) => line === '' || !isGone(line, at))
    .join('\n')
}

export const defects: Readonly<Record<string, Defect>> = {
  'mixes-answers': {
    does: 'each line gets the answer to another body',
    on: QUIET,
    answer: (call, engine) => (call.line % 3 === 0 ? null : mixed(call, engine)),
  },
  'html-as-success': {
    does: 'an HTML page in a 200 reaches the server as JSON, and is counted as a success',
    on: /^HTML in a 200, one line always$/,
    answer: (call) => (call.line === 2 ? goodAnswer(call) : null),
  },
  'blames-the-line': {
    does: 'a fault of the upstream reaches the server as a refusal of the request, and fails lines',
    on: /^(401|500), for 2 min$/,
    answer: (call, { facts }) => (call.number > facts.concurrency ? errorReply(400) : null),
  },
  'ignores-the-wait': {
    does: 'the wait that the engine asks for is lost on the way',
    on: /^429 with (Retry-After: 30|a date a year away)$/,
    answer: (call) => (call.number === 0 ? errorReply(429) : null),
  },
  'repeats-calls': {
    does: 'answers are lost on the way, so that lines are asked for again and again',
    on: QUIET,
    answer: (call) => (call.line % 4 === 1 && call.attempt < 2 ? { breakAt: 'reset' } : null),
  },
  'changes-the-answer': {
    does: 'the answer is written anew on its way to the client',
    on: /^spaces and order of the answer$/,
    outcome: changeText(/" : 1 /g, '":1'),
  },
  'loses-a-line': {
    does: 'a line of the output file is lost',
    on: QUIET,
    outcome: (outcome) => ({ ...outcome, output: withoutLines(outcome.output, (_, at) => at === 1) }),
  },
  'doubles-a-line': {
    does: 'a line of the output file is there twice',
    on: QUIET,
    outcome: (outcome) => ({ ...outcome, output: `${outcome.output}${outcome.output.split('\n')[0]}\n` }),
  },
  'breaks-a-line': {
    does: 'a result line holds a raw line break of the answer',
    on: /^line breaks in the answer$/,
    outcome: changeText('"choices"', '\n"choices"'),
  },
  miscounts: {
    does: 'a failed line is counted as completed',
    on: QUIET,
    outcome: (outcome) => {
      const { total, completed, failed } = outcome.batch.request_counts
      const counts = { total, completed: completed + 1, failed: failed - 1 }
      return { ...outcome, batch: { ...outcome.batch, request_counts: counts } }
    },
  },
  'says-nothing': {
    does: 'a batch that waits does not say why',
    on: /^connection refused for ever$/,
    outcome: (outcome) => ({ ...outcome, reasons: new Set<string>() }),
  },
}
