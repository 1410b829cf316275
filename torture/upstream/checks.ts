/** Every promise that a batch makes whatever its engine does, checked on what a client sees. */
import { createHash } from 'node:crypto'
import { parseLines, type ResultLine } from '../../test/kit/requests.ts'
import type { Outcome } from './world.ts'

export type Broken = { promise: string; detail: string }

/** Real ms from an answer to the moment when the server has acted on it, on a busy machine: calls of that time were on their way. */
const ACTED_MS = 3_000

export function brokenPromises(outcome: Outcome): Broken[] {
  const broken: Broken[] = []
  const demand = (isHeld: boolean, promise: string, detail: () => string): void => {
    // A broken promise tends to break for every line; one of them tells it.
    if (!isHeld && !broken.some((other) => other.promise === promise))
      broken.push({ promise, detail: detail() })
  }
  const { what, batch } = outcome
  const wanted = what.expect.status ?? 'completed'
  demand(batch.status === wanted, 'the batch ends as it should', () => `${batch.status}, not ${wanted}`)
  if (batch.status === 'failed') checkUnstarted(outcome, demand)
  else checkLines(outcome, demand)
  checkCalls(outcome, demand)
  checkWaiting(outcome, demand)
  return broken
}

type Demand = (isHeld: boolean, promise: string, detail: () => string) => void

function checkUnstarted({ batch, engine }: Outcome, demand: Demand): void {
  const codes = batch.errors?.data.map(({ code }) => code) ?? []
  demand(
    codes.length > 0 && codes.every((code) => code === 'model_not_found'),
    'a failed batch says why',
    () => codes.join(),
  )
  demand(engine.calls.length === 0, 'a failed batch calls nobody', () => `${engine.calls.length} calls`)
}

function checkLines(outcome: Outcome, demand: Demand): void {
  const { batch, bodies, output, errors } = outcome
  let lines: { output: ResultLine[]; errors: ResultLine[] }
  try {
    lines = { output: parseLines(output), errors: parseLines(errors) }
  } catch (thrown) {
    return demand(false, 'a result line is valid JSON', () => String(thrown))
  }
  const ids = [...lines.output, ...lines.errors].map((line) => line.custom_id)
  const missing = bodies.keys().filter((line) => !ids.includes(`request-${line}`))
  demand(
    ids.length === bodies.length && new Set(ids).size === bodies.length,
    'every line is in exactly one of the two files',
    () => `${ids.length} lines for ${bodies.length}, missing ${[...missing].join()}`,
  )
  const isLeft = (line: ResultLine): boolean => line.error?.code === 'batch_expired'
  const counts = {
    total: bodies.length,
    completed: lines.output.length,
    failed: lines.errors.filter((line) => !isLeft(line)).length,
  }
  demand(
    JSON.stringify(batch.request_counts) === JSON.stringify(counts),
    'the counts are those of the files',
    () => `${JSON.stringify(batch.request_counts)}, not ${JSON.stringify(counts)}`,
  )
  checkFailures(outcome, { errors: lines.errors, isLeft, demand })
  checkAnswers(outcome, { raw: output.split('\n'), lines: lines.output, demand })
}

function checkFailures(
  { what, batch }: Outcome,
  {
    errors,
    isLeft,
    demand,
  }: { errors: readonly ResultLine[]; isLeft: (line: ResultLine) => boolean; demand: Demand },
): void {
  const failing = what.expect.failing
  for (const result of errors) {
    const line = lineOf(result)
    if (isLeft(result)) {
      demand(batch.status === 'expired', 'only an expired batch leaves lines', () => `line ${line}`)
      continue
    }
    const status = result.response?.status_code ?? null
    const error = result.error ?? errorIn(result.response?.body)
    demand(
      failing?.isFailing(line) === true,
      'a fault of the upstream fails no line',
      () => `line ${line} failed: ${JSON.stringify(result).slice(0, 300)}`,
    )
    demand(
      failing === undefined || (status === failing.status && failing.code.test(String(error?.code))),
      'a line fails with what the engine said',
      () => `line ${line}: ${JSON.stringify(result).slice(0, 300)}`,
    )
  }
}

function checkAnswers(
  { what, bodies, engine, batch }: Outcome,
  { raw, lines, demand }: { raw: readonly string[]; lines: readonly ResultLine[]; demand: Demand },
): void {
  for (const [at, result] of lines.entries()) {
    const line = lineOf(result)
    demand(
      what.expect.failing?.isFailing(line) !== true,
      'what is no answer is no success',
      () => `line ${line} succeeded: ${raw[at]?.slice(0, 300)}`,
    )
    demand(
      result.response?.status_code !== undefined && result.error === null && batch.status !== 'failed',
      'a line of the output has an answer',
      () => `line ${line}`,
    )
    const named = namedHash(result.response?.body)
    demand(
      named === null || named === sha256(bodies[line] ?? ''),
      'no line has the answer of another',
      () => `line ${line} has the answer to ${named}`,
    )
    const good = engine.good.get(line) ?? []
    const isKept = good.some((bytes) => {
      const text = Buffer.from(bytes)
        .toString('utf8')
        .replaceAll(/[\r\n]/g, '')
      return raw[at]?.includes(`"body":${text}},"error":null}`)
    })
    demand(isKept, 'the bytes of the answer are kept', () => `line ${line}: ${raw[at]?.slice(0, 300)}`)
    const id = (result.response as { request_id?: unknown } | null)?.request_id
    demand(
      typeof id === 'string' && /^[\x21-\x7e]{1,128}$/.test(id),
      'the id of a call is plain',
      () => `line ${line}: ${JSON.stringify(id)?.slice(0, 200)}`,
    )
  }
}

function checkCalls({ what, bodies, engine, concurrency }: Outcome, demand: Demand): void {
  const { callsPerLineMax = 1, callsMoreMax } = what.expect
  const perLine = new Map<number, number>()
  for (const { line } of engine.calls) perLine.set(line, (perLine.get(line) ?? 0) + 1)
  for (const [line, calls] of perLine) {
    demand(
      line >= 0 && line < bodies.length && calls <= callsPerLineMax,
      'calls per line are bounded',
      () => `line ${line}: ${calls} calls, at most ${callsPerLineMax}`,
    )
  }
  const more = engine.calls.length - perLine.size
  const moreMax = callsMoreMax?.(concurrency) ?? Number.POSITIVE_INFINITY
  demand(more <= moreMax, 'a broken engine is not hammered', () => `${more} more, at most ${moreMax}`)
  const strange = engine.calls.find(({ path }) => path !== '/v1/chat/completions')
  demand(strange === undefined, 'nothing else is asked of the engine', () => strange?.path ?? '')
}

function checkWaiting({ what, batch, engine, reasons, ready, lastedMs }: Outcome, demand: Demand): void {
  const { reason, silentMs, lastsMs = 0 } = what.expect
  demand(
    reason === undefined || [...reasons].some((seen) => reason.test(seen)),
    'a batch that waits says why',
    () => `${[...reasons].join(' | ')}, not ${reason}`,
  )
  demand(
    [...ready].every((status) => status === 200),
    'a server is ready whatever its engines do',
    () => [...ready].join(),
  )
  demand(
    lastedMs >= lastsMs,
    'work waits for the engine',
    () => `${Math.round(lastedMs)} ms, at least ${lastsMs}`,
  )
  demand(
    batch.dw.state_reason === null,
    'a batch that ended waits for nothing',
    () => `${batch.dw.state_reason}`,
  )
  const [first, ...others] = engine.calls
  if (silentMs === undefined || first === undefined) return
  const after = others.map((call) => call.atMs - first.atMs).filter((ms) => ms > ACTED_MS)
  const next = silentMs.from > 0 ? (after[0] ?? Number.POSITIVE_INFINITY) : firstRepeat(others, first)
  demand(
    next >= silentMs.from && next <= silentMs.to,
    'the wait that the engine asked for is kept',
    () => `next call after ${Math.round(next)} ms, ${silentMs.from} to ${silentMs.to} wanted`,
  )
}

function firstRepeat(calls: Outcome['engine']['calls'], first: { line: number; atMs: number }): number {
  const again = calls.find(({ line }) => line === first.line)
  return again === undefined ? Number.POSITIVE_INFINITY : again.atMs - first.atMs
}

function lineOf(result: ResultLine): number {
  return Number(/^request-(\d+)$/.exec(result.custom_id)?.[1] ?? -1)
}

function errorIn(body: Record<string, unknown> | undefined): { code?: unknown } | null {
  const error = body?.error
  return typeof error === 'object' && error !== null ? error : null
}

/** The hash that a plain answer carries; null for an answer that carries none. */
function namedHash(body: Record<string, unknown> | undefined): string | null {
  const text = JSON.stringify(body?.choices ?? null)
  return /"content":"([0-9a-f]{64})"/.exec(text)?.[1] ?? null
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
