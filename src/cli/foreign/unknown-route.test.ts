import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError, errorOf, UnreachableError } from '../../client/errors.ts'
import { createFallback, isUnknownRoute } from './unknown-route.ts'

const ID = 'batch_abc'
const PATH = `/v1/batches/${ID}/retry`

/** Replies of services to an address that they do not have, and to an id that they do not have. */
const replies: readonly { from: string; status: number; body: unknown; isUnknown: boolean }[] = [
  {
    from: 'OpenAI',
    status: 404,
    body: {
      error: {
        message: `Invalid URL (POST ${PATH})`,
        type: 'invalid_request_error',
        param: null,
        code: null,
      },
    },
    isUnknown: true,
  },
  { from: 'FastAPI', status: 404, body: { detail: 'Not Found' }, isUnknown: true },
  { from: 'FastAPI', status: 405, body: { detail: 'Method Not Allowed' }, isUnknown: true },
  { from: 'a Go server', status: 404, body: '404 page not found', isUnknown: true },
  { from: 'a proxy', status: 404, body: '<html><body>nginx</body></html>', isUnknown: true },
  { from: 'Spring', status: 404, body: { status: 404, error: 'Not Found', path: PATH }, isUnknown: true },
  {
    from: 'a gateway',
    status: 404,
    body: { error: { message: `Unknown request URL: POST ${PATH}. See the docs.`, code: 'unknown_url' } },
    isUnknown: true,
  },
  { from: 'a server without words', status: 501, body: '', isUnknown: true },
  {
    from: 'OpenAI',
    status: 404,
    body: { error: { message: `No batch found with id '${ID}'.`, param: null, code: null } },
    isUnknown: false,
  },
  {
    from: 'OpenAI',
    status: 404,
    body: { error: { message: 'No such File object', param: 'id', code: null } },
    isUnknown: false,
  },
  {
    from: 'any',
    status: 409,
    body: { error: { message: 'It runs.', param: null, code: 'batch_running' } },
    isUnknown: false,
  },
  { from: 'any', status: 500, body: '', isUnknown: false },
]

for (const { from, status, body, isUnknown } of replies) {
  test(`${status} ${JSON.stringify(body).slice(0, 60)} of ${from} ${isUnknown ? 'shows an unknown address' : 'is about something else'}`, async () => {
    const reply = new Response(typeof body === 'string' ? body : JSON.stringify(body), { status })
    assert.equal(isUnknownRoute(await errorOf(reply), ID), isUnknown)
  })
}

test('a server that cannot be reached has every address', () => {
  assert.equal(isUnknownRoute(new UnreachableError('http://host/v1', 'refused'), ID), false)
})

test('an address that was unknown once is not asked for again, and that is told once', async () => {
  const happened: string[] = []
  const fallback = createFallback(() => happened.push('missing'))
  const unknown = new ApiError({
    status: 404,
    code: null,
    param: null,
    message: 'Not Found',
    requestId: null,
  })
  for (const id of ['a', 'b']) {
    const got = await fallback.either(
      id,
      async () => {
        happened.push(`asked ${id}`)
        throw unknown
      },
      async () => `here ${id}`,
    )
    assert.equal(got, `here ${id}`)
  }
  assert.deepEqual(happened, ['asked a', 'missing'])
})
