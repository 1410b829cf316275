import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyHash } from '../domain/ids.ts'
import { RefusedError } from '../lib/errors.ts'
import {
  type AccessFacts,
  bearerOf,
  identify,
  isLoopback,
  type KnownKey,
  requireSameOrigin,
} from './access.ts'

const NOW = 1_000
const keys: Record<string, KnownKey> = {
  dw_good: { id: 'key_1', tenantId: 'acme', expiresAt: null, revokedAt: null },
  dw_later: { id: 'key_2', tenantId: 'acme', expiresAt: NOW + 1, revokedAt: null },
  dw_expired: { id: 'key_3', tenantId: 'acme', expiresAt: NOW, revokedAt: null },
  dw_revoked: { id: 'key_4', tenantId: 'acme', expiresAt: null, revokedAt: NOW },
}
const byHash = new Map(Object.entries(keys).map(([secret, key]) => [keyHash(secret), key]))

function facts(bearer: string | null, mode: { isOpenAllowed: boolean; hasKeys: boolean }): AccessFacts {
  return {
    bearer,
    ownerToken: 'dwo_owner',
    keyPrefix: 'dw_',
    isOpenAllowed: mode.isOpenAllowed,
    hasTenantKeys: async () => mode.hasKeys,
    findKey: async (hash) => byHash.get(hash) ?? null,
    now: NOW,
  }
}

const modes = {
  'open loopback': { isOpenAllowed: true, hasKeys: false },
  'loopback with keys': { isOpenAllowed: true, hasKeys: true },
  'key demanded, none made': { isOpenAllowed: false, hasKeys: false },
  'key demanded': { isOpenAllowed: false, hasKeys: true },
} as const

const outcomes: [string | null, Record<keyof typeof modes, string>][] = [
  [
    null,
    {
      'open loopback': 'local open',
      'loopback with keys': '401 none',
      'key demanded, none made': '401 none',
      'key demanded': '401 none',
    },
  ],
  [
    'sk-anything',
    {
      'open loopback': 'local open',
      'loopback with keys': '401 wrong',
      'key demanded, none made': '401 wrong',
      'key demanded': '401 wrong',
    },
  ],
  [
    'dw_good',
    {
      'open loopback': 'acme',
      'loopback with keys': 'acme',
      'key demanded, none made': 'acme',
      'key demanded': 'acme',
    },
  ],
  [
    'dw_later',
    {
      'open loopback': 'acme',
      'loopback with keys': 'acme',
      'key demanded, none made': 'acme',
      'key demanded': 'acme',
    },
  ],
  ...['dw_unknown', 'dw_expired', 'dw_revoked', 'dw_'].map(
    (bearer): [string, Record<keyof typeof modes, string>] => [
      bearer,
      {
        'open loopback': '401 wrong',
        'loopback with keys': '401 wrong',
        'key demanded, none made': '401 wrong',
        'key demanded': '401 wrong',
      },
    ],
  ),
  [
    'dwo_owner',
    {
      'open loopback': 'local owner',
      'loopback with keys': 'local owner',
      'key demanded, none made': 'local owner',
      'key demanded': 'local owner',
    },
  ],
  [
    'dwo_guess',
    {
      'open loopback': 'local open',
      'loopback with keys': '401 wrong',
      'key demanded, none made': '401 wrong',
      'key demanded': '401 wrong',
    },
  ],
]

for (const [bearer, wanted] of outcomes) {
  for (const [name, mode] of Object.entries(modes)) {
    // The names are the keys of the table.
    const outcome = wanted[name as keyof typeof modes]
    test(`${bearer ?? 'no key'}, ${name}: ${outcome}`, async () => {
      assert.equal(await outcomeOf(facts(bearer, mode)), outcome)
    })
  }
}

async function outcomeOf(given: AccessFacts): Promise<string> {
  try {
    const caller = await identify(given)
    return [caller.tenantId, caller.isOwner ? 'owner' : '', caller.isOpen ? 'open' : '']
      .filter(Boolean)
      .join(' ')
  } catch (thrown) {
    assert.ok(thrown instanceof RefusedError)
    return `${thrown.status} ${thrown.code === 'missing_api_key' ? 'none' : 'wrong'}`
  }
}

test('a refusal shows little of the key', async () => {
  const secret = 'dw_abcdefghijklmnop'
  await assert.rejects(identify(facts(secret, modes['key demanded'])), (thrown: Error) => {
    assert.match(thrown.message, /^Incorrect API key provided: dw_\*\*\*\*mnop\./)
    return true
  })
  await assert.rejects(identify(facts('dw_short', modes['key demanded'])), /provided: \*\*\*\*\./)
})

test('the key is the bearer value, and nothing else is', () => {
  assert.equal(bearerOf('Bearer abc'), 'abc')
  assert.equal(bearerOf('bearer   abc '), 'abc')
  for (const header of [undefined, '', 'Bearer', 'Bearer ', 'Basic abc', 'abc', 'Bearer a b'])
    assert.equal(bearerOf(header), null)
})

test('loopback is this machine alone', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', 'localhost', '::1']) assert.ok(isLoopback(host), host)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.evil.com', '1270.0.1', 'example.com', '']) {
    assert.ok(!isLoopback(host), host)
  }
})

const PORT = 4111
const authorities: [string | undefined, boolean][] = [
  ['localhost:4111', true],
  ['LOCALHOST:4111', true],
  ['127.0.0.1:4111', true],
  ['[::1]:4111', true],
  ['127.0.0.2:4111', true],
  ['localhost', false],
  ['localhost:4112', false],
  ['localhost:04111x', false],
  ['evil.com:4111', false],
  ['localhost.evil.com:4111', false],
  ['evil.com@localhost:4111', false],
  ['localhost:4111@evil.com', false],
  ['evil.com/localhost:4111', false],
  ['10.0.0.1:4111', false],
  ['', false],
  [undefined, false],
]

for (const [authority, isOurs] of authorities) {
  test(`without a key, host '${authority}' is ${isOurs ? 'served' : 'refused'}, and so is a page of it`, () => {
    const address = { host: '127.0.0.2', port: PORT }
    const check = (headers: { host: string | undefined; origin: string | undefined }) => () =>
      requireSameOrigin(headers, address)
    const byHost = check({ host: authority, origin: undefined })
    if (isOurs) assert.doesNotThrow(byHost)
    else assert.throws(byHost, { code: 'wrong_host', status: 403 })
    if (authority === undefined) return
    const byOrigin = check({ host: 'localhost:4111', origin: `http://${authority}` })
    if (isOurs) assert.doesNotThrow(byOrigin)
    else assert.throws(byOrigin, { code: 'wrong_origin', status: 403 })
  })
}

test('a page is ours only by its whole origin', () => {
  for (const origin of [
    'null',
    'https://localhost:4111',
    'localhost:4111',
    'file://',
    'http://localhost:4111/',
    '',
  ]) {
    const headers = { host: 'localhost:4111', origin }
    assert.throws(() => requireSameOrigin(headers, { host: '127.0.0.1', port: PORT }), {
      code: 'wrong_origin',
    })
  }
})

test('the port of the scheme may be left out', () => {
  const address = { host: '127.0.0.1', port: 80 }
  assert.doesNotThrow(() => requireSameOrigin({ host: 'localhost', origin: 'http://localhost' }, address))
})
