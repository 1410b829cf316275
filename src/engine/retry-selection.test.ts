import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { chatLine, jsonl } from '../../test/kit/requests.ts'
import { collect, openRig, type PlannedAnswer, TENANT } from '../../test/kit/service-rig.ts'
import type { Batch } from '../domain/batch.ts'
import { type Failure, groupIdOf, groupKeyOf } from '../domain/failure.ts'

const rig = await openRig()
after(() => rig.close())

const requests = Array.from({ length: 9 }, (_, number) => chatLine(number))
const messages: readonly Failure[] = [
  { status: 400, code: 'bad', message: 'Request req_0ab1c2 is bad.' },
  { status: 429, code: null, message: 'Slow down for 7 s.' },
  { status: null, code: 'batch_expired', message: 'Too late.' },
]
const [bad, slow, late] = messages.map((failure) => groupIdOf(groupKeyOf(failure)))

function failed(lineIndex: number, kind: 0 | 1): PlannedAnswer {
  const { status, code, message } = messages[kind] as Failure
  const body = { error: { code, message: message.replaceAll(/\d+/g, String(lineIndex)) } }
  const text = JSON.stringify({
    custom_id: `request-${lineIndex}`,
    response: { status_code: status, body },
    error: null,
  })
  return { lineIndex, outcome: 'failed', text }
}

function expired(lineIndex: number): PlannedAnswer {
  const { code, message } = messages[2] as Failure
  return {
    lineIndex,
    outcome: 'expired',
    text: JSON.stringify({ response: null, error: { code, message } }),
  }
}

/** Of nine requests 0, 4 and 7 are bad, 1 and 8 were slowed down, 3 came too late. */
async function endedBatch(): Promise<Batch> {
  const batch = await rig.create((await rig.upload(jsonl(requests))).id)
  const ok = (lineIndex: number): PlannedAnswer => ({ lineIndex, outcome: 'succeeded' })
  const answers = [failed(7, 0), ok(2), failed(1, 1), failed(0, 0), ok(5), failed(8, 1), failed(4, 0), ok(6)]
  await rig.answer(batch.id, [...answers, expired(3)])
  return rig.end(batch.id, 'expired')
}

async function retry(id: string, groups?: readonly string[], key: string | null = null): Promise<Batch> {
  const options = { includeCancelled: false, idempotencyKey: key, keyId: null }
  const batch = await rig.service.retryBatch(TENANT, id, {
    ...options,
    ...(groups !== undefined && { groups }),
  })
  assert.ok(batch !== null)
  return batch
}

async function linesOf(batch: Batch): Promise<string> {
  return rig.read(batch.inputFileId)
}

function chosen(...numbers: number[]): string {
  return jsonl(requests.filter((_, number) => numbers.includes(number)))
}

test('R17: a retry of groups takes the lines of these groups alone, in their order', async () => {
  const origin = await endedBatch()
  assert.ok(bad !== undefined && slow !== undefined && late !== undefined)
  const one = await retry(origin.id, [bad])
  assert.equal(await linesOf(one), chosen(0, 4, 7))
  assert.equal(one.retryOf, origin.id)
  await rig.end(one.id, 'completed')
  assert.equal(await linesOf(await retry(origin.id, [late, slow])), chosen(1, 3, 8))
})

test('a group that the batch has not is refused, and nothing is made', async () => {
  const origin = await endedBatch()
  await assert.rejects(retry(origin.id, [bad ?? '', '0123456789']), {
    code: 'unknown_group',
    message: /group '0123456789'/,
  })
  assert.deepEqual(await rig.store.batches.children(origin.id), [])
})

test('while some lines run again, the same ones give that batch, and others are refused', async () => {
  const origin = await endedBatch()
  const first = await retry(origin.id, [slow ?? '', bad ?? ''])
  assert.equal((await retry(origin.id, [bad ?? '', slow ?? '', bad ?? ''])).id, first.id)
  for (const groups of [[bad ?? ''], undefined])
    await assert.rejects(retry(origin.id, groups), { code: 'retry_running', status: 409 })
})

test('retries of different groups at the same moment make one batch, and the other one is refused', async () => {
  const origin = await endedBatch()
  const outcomes = await Promise.allSettled([retry(origin.id, [bad ?? '']), retry(origin.id, [slow ?? ''])])
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

test('groups are not known once the error file was deleted', async () => {
  const origin = await endedBatch()
  assert.ok(await rig.service.deleteFile(TENANT, origin.errorFileId ?? ''))
  await assert.rejects(retry(origin.id, [bad ?? '']), { code: 'errors_gone', status: 409 })
  assert.equal(await linesOf(await retry(origin.id)), chosen(0, 1, 3, 4, 7, 8))
})

test('any part of a result file in the order of the input is that part of the whole', async () => {
  const origin = await endedBatch()
  const content = await rig.service.openInputOrder(TENANT, origin.errorFileId ?? '')
  assert.ok(content !== null)
  const whole = await collect(content.body)
  assert.equal(whole.length, content.bytes)
  assert.ok(whole.indexOf('request-0') < whole.indexOf('request-4'))
  for (let start = 0; start <= whole.length; start += 3)
    for (const end of [start, Math.min(start + 7, whole.length), whole.length])
      assert.equal(await collect(content.read({ start, end })), whole.slice(start, end))
})
