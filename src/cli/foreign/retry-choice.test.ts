import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createFailureMatcher, groupIdOf, groupKeyOf } from '../../domain/failure.ts'
import type { Desk } from '../../jsonl/tools/desk.ts'
import { systemDisk } from '../../lib/disk.ts'
import { systemRandom } from '../../lib/random.ts'
import { objectsOf } from './content.ts'
import { type ChoiceOptions, chooseRetry, type RetryChoice } from './retry-choice.ts'

const folder = mkdtempSync(join(tmpdir(), 'dw-'))
const desk: Desk = { disk: systemDisk, random: systemRandom, temporaryFolder: folder }
after(() => rmSync(folder, { recursive: true, force: true }))

const request = (id: string): string => JSON.stringify({ custom_id: id, body: {} })
const answer = (id: string, status: number): string =>
  JSON.stringify({ custom_id: id, response: { status_code: status, body: {} }, error: null })
const unanswered = (id: string, code: string): string =>
  JSON.stringify({ custom_id: id, response: null, error: { code, message: 'no time' } })

async function* bytes(lines: readonly string[]): AsyncGenerator<Uint8Array> {
  yield Buffer.from(lines.map((line) => `${line}\n`).join(''))
}

/** @returns the numbers of the chosen lines beside the choice */
async function choose(
  lines: { input: string[]; output?: string[]; errors?: string[] },
  more: Partial<Pick<ChoiceOptions, 'missingAs' | 'includeCancelled' | 'groups'>> = {},
): Promise<{ choice: RetryChoice; chosen: number[] }> {
  const choice = await chooseRetry({
    ...{ desk, missingAs: 'missing', includeCancelled: false, groups: null, ...more },
    input: objectsOf(bytes(lines.input)),
    results: [objectsOf(bytes(lines.output ?? [])), objectsOf(bytes(lines.errors ?? []))],
  })
  const chosen = lines.input.map((_, index) => index + 1).filter((number) => choice.isChosen(number))
  choice.close()
  assert.deepEqual(readdirSync(folder), [])
  return { choice, chosen }
}

test('what failed, expired or has no line runs again, wherever a service wrote it', async () => {
  const { choice, chosen } = await choose({
    input: ['ok', '', 'failed', 'failed in the output', 'expired', 'cancelled', 'lost'].map((id) =>
      id === '' ? '' : request(id),
    ),
    output: [answer('failed in the output', 500), answer('ok', 200)],
    errors: [
      unanswered('expired', 'batch_expired'),
      unanswered('cancelled', 'batch_cancelled'),
      answer('failed', 400),
    ],
  })
  assert.deepEqual(choice.counts, { succeeded: 1, failed: 2, expired: 1, cancelled: 1, missing: 1 })
  assert.deepEqual(chosen, [3, 4, 5, 7])
  assert.equal(choice.chosen, 4)
})

test('of several results of one request a success counts, in any order', async () => {
  const { choice, chosen } = await choose({
    input: [request('a'), request('b')],
    output: [answer('a', 200), answer('b', 200), answer('b', 200)],
    errors: [answer('a', 500), answer('b', 500)],
  })
  assert.deepEqual(chosen, [])
  assert.equal(choice.counts.succeeded, 2)
})

test('requests without a line are what the end of their batch made of them', async () => {
  const input = [request('a'), request('b')]
  const output = [answer('a', 200)]
  const expired = await choose({ input, output }, { missingAs: 'expired' })
  assert.deepEqual([expired.choice.counts.expired, expired.chosen], [1, [2]])
  const cancelled = await choose({ input, output }, { missingAs: 'cancelled' })
  assert.deepEqual([cancelled.choice.counts.cancelled, cancelled.chosen], [1, []])
  const included = await choose({ input, output }, { missingAs: 'cancelled', includeCancelled: true })
  assert.deepEqual(included.chosen, [2])
})

test('requests that cannot be told apart, and results of nobody, are counted', async () => {
  const { choice } = await choose({
    input: [request('a'), request('a'), request('b'), JSON.stringify({ body: {} })],
    output: [answer('b', 200), answer('stranger', 200), '{"custom_id":"torn', '{"response":{}}'],
  })
  assert.equal(choice.unusable, 2)
  assert.equal(choice.unknown, 1)
  assert.equal(choice.unreadable, 2)
})

test('more ids than are held in memory are chosen from all the same', async () => {
  const count = 270_000
  async function* lines(
    of: (number: number) => string,
    keep: (number: number) => boolean,
  ): AsyncGenerator<Uint8Array> {
    for (let from = 0; from < count; from += 10_000) {
      const numbers = Array.from({ length: 10_000 }, (_, index) => from + index).filter(keep)
      yield Buffer.from(numbers.map((number) => `${of(number)}\n`).join(''))
    }
  }
  const choice = await chooseRetry({
    ...{ desk, missingAs: 'missing', includeCancelled: false, groups: null },
    input: objectsOf(
      lines(
        (number) => request(`request-${number}`),
        () => true,
      ),
    ),
    results: [
      objectsOf(
        lines(
          (number) => answer(`request-${number}`, 200),
          (number) => number % 10 === 7,
        ),
      ),
    ],
  })
  assert.equal(choice.chosen, count - count / 10)
  assert.ok(!choice.isChosen(8) && choice.isChosen(9) && !choice.isChosen(count - 2))
  choice.close()
  assert.deepEqual(readdirSync(folder), [])
})

test('with groups, only requests with such a failure and without a success run again', async () => {
  const groups = createFailureMatcher([groupIdOf(groupKeyOf({ status: 500, code: null, message: '' }))])
  const { choice, chosen } = await choose(
    {
      input: ['ok', 'wanted', 'other', 'expired', 'mended', 'lost', 'twice'].map(request),
      output: [answer('ok', 200), answer('mended', 200)],
      errors: [
        ...[answer('wanted', 500), answer('other', 400), answer('mended', 500)],
        ...[unanswered('expired', 'batch_expired'), answer('twice', 500), answer('twice', 400)],
      ],
    },
    { groups },
  )
  assert.deepEqual(chosen, [2, 7])
  assert.equal(choice.chosen, 2)
})
