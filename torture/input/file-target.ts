/** The validator of request files against a plain one: lines, findings, duplicates and spans, however the bytes are cut. */
import { isDeepStrictEqual } from 'node:util'
import { inspectBytes } from '../../src/jsonl/inspect-bytes.ts'
import type { Random } from '../../src/lib/random.ts'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { isRecord, type PlainLine, validatePlainly } from './plain-validator.ts'
import type { Target } from './target.ts'

const limits = { lineBytesMax: 8_192, linesMax: 40 }
const CUTS_MAX = 6

/** @param options missesDuplicates: the defect, repeated ids are not told */
export function fileTarget(options: { missesDuplicates: boolean }): Target {
  const line = (url: string, body: unknown): string =>
    JSON.stringify({ custom_id: `${url} é`, method: 'POST', url, body })
  return {
    name: 'request files',
    seeds: [
      jsonl([chatLine(1), chatLine(2, { model: 'b' }), chatLine(3)]),
      jsonl([chatLine(1), chatLine(1), chatLine(2), chatLine(1)]),
      `${line('/v1/embeddings', { model: 'm', input: ['a', 'b'] })}\r\n\n  \n{"a":1}`,
      `${line('/v1/responses', { model: 'm', prompt: { id: 'p' }, tools: [{}] })}\n`,
      `${line('/v1/completions', { model: 'm', prompt: 'p', stream: true })}\n[1]\n`,
      '{"custom_id":"a","\\u0062ody":{"model":"x"},"custom_id":"\\u0061","method":"POST","url":"/v1/moderations"}\n',
    ].map((text) => Buffer.from(text)),
    tokens: [
      ...['"custom_id":"request-1"', '"custom_id":1,', '"body":{"model":"m","messages":[{}]},', '"model":null,'],
      ...['"url":"/v1/embeddings",', '"method":"GET",', '"stream":true,', '"input":"x",', '"tools":[],'],
      ...['/v1/responses', '/v1/completions', '"prompt":[]', '"messages":"x",', '"c\\u0075stom_id":"u",'],
    ],
    run: (input, random) => compare(input, random, options),
  }
}

type Inspected = ReturnType<typeof inspectBytes>

function compare(bytes: Buffer, random: Random, options: { missesDuplicates: boolean }): string | null {
  const inspected = inspectBytes(bytes, limits)
  if (options.missesDuplicates)
    inspected.findings = inspected.findings.filter(({ code }) => code !== 'duplicate_custom_id')
  const plain = validatePlainly(bytes, limits)
  if (inspected.bytes !== bytes.byteLength) return `${inspected.bytes} bytes`
  if (inspected.lines !== plain.requests) return `${inspected.lines} lines, not ${plain.requests}`
  const told = inspected.findings.map(({ lineNumber, code }) => `${lineNumber ?? 0} ${code}`)
  if (!isDeepStrictEqual(told.toSorted(), plain.findings.toSorted()))
    return `it finds ${told.join(', ')}; the plain one ${plain.findings.join(', ')}`
  if (!isDeepStrictEqual(inspected.endpoints, plain.endpoints)) return 'the endpoints are others'
  if (inspected.entries.length !== plain.lines.length) return `${inspected.entries.length} entries`
  for (const [index, line] of plain.lines.entries()) {
    const wrong = wrongSpan(inspected, index, line)
    if (wrong !== null) return `line ${line.lineNumber}: ${wrong}`
  }
  return options.missesDuplicates ? null : cutOtherwise(bytes, random, inspected)
}

function wrongSpan(inspected: Inspected, index: number, line: PlainLine): string | null {
  const entry = inspected.entries[index]
  if (entry === undefined) return 'no entry'
  const { lineOffset, lineBytes, lineNumber } = entry
  const found = { lineOffset, lineBytes, lineNumber }
  const wanted = { lineOffset: line.offset, lineBytes: line.bytes.byteLength, lineNumber: line.lineNumber }
  if (!isDeepStrictEqual(found, wanted)) return `${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`
  const read = (start: number, length: number): unknown =>
    length === 0 ? undefined : JSON.parse(line.bytes.toString('utf8', start, start + length))
  const { request } = line
  const body = isRecord(request?.body) ? request.body : null
  if (!isDeepStrictEqual(read(entry.customIdStart, entry.customIdBytes), request?.custom_id))
    return 'the span of custom_id is another'
  if (!isDeepStrictEqual(read(entry.bodyStart, entry.bodyBytes), request?.body))
    return 'the span of body is another'
  if (!isDeepStrictEqual(read(entry.modelStart, entry.modelBytes), body?.model))
    return 'the span of model is another'
  const isModelGood = typeof body?.model === 'string' && body.model !== '' && Buffer.byteLength(body.model) <= 512
  return isModelGood && inspected.models[entry.modelNumber]?.model !== body.model ? 'the model is another' : null
}

function cutOtherwise(bytes: Buffer, random: Random, whole: Inspected): string | null {
  const count = Math.floor(random.float() * CUTS_MAX)
  const cuts = Array.from({ length: count }, () => Math.floor(random.float() * (bytes.byteLength + 1)))
  // So few that they do not fit in memory together.
  const idsHeldMax = 1 + Math.floor(random.float() * 4)
  const cut = inspectBytes(bytes, { ...limits, cuts, idsHeldMax })
  return isDeepStrictEqual({ ...cut, runsSpilled: 0 }, { ...whole, runsSpilled: 0 })
    ? null
    : `what is found depends on the cuts at ${cuts.join(', ')}, or on ${idsHeldMax} ids held at a time`
}
