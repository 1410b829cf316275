import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CommandInput } from '../command.ts'
import { embeddedFolder } from './embedded-server.ts'
import { upstreamOption } from './upstream-choice.ts'

const env = { KEY: 'sk-1', DW_STATE_DIR: '/state' }
const given = (options: CommandInput['options']): CommandInput => ({ arguments: [], options })

test('an upstream has one address however it is written', () => {
  for (const upstream of [
    'http://host:8000',
    'http://host:8000/',
    'http://HOST:8000/v1',
    'http://host:8000/v1//',
  ])
    assert.equal(upstreamOption(given({ upstream }), env)?.url, 'http://host:8000/v1')
  const versioned = upstreamOption(given({ upstream: 'https://host/openai/v2' }), env)
  assert.deepEqual([versioned?.url, versioned?.exactUrl], ['https://host/openai/v2', null])
  const gateway = upstreamOption(given({ upstream: 'https://host/v1beta/openai/' }), env)
  assert.deepEqual(
    [gateway?.url, gateway?.exactUrl],
    ['https://host/v1beta/openai/v1', 'https://host/v1beta/openai'],
  )
})

test('its key is read from a variable of the caller', () => {
  const choice = upstreamOption(given({ upstream: 'http://h', upstreamKeyEnv: 'KEY', concurrency: '3' }), env)
  assert.deepEqual(choice, { url: 'http://h/v1', exactUrl: null, key: 'sk-1', concurrency: 3 })
  assert.equal(upstreamOption(given({}), env), null)
})

const wrong: readonly CommandInput['options'][] = [
  { upstream: 'host:8000' },
  { upstream: 'ftp://host' },
  { upstream: 'http://user:secret@host' },
  { upstream: 'http://host?key=1' },
  { upstream: 'http://host', upstreamKeyEnv: 'NOT_SET' },
  { upstream: 'http://host', concurrency: '0' },
  { concurrency: '4' },
  { upstreamKeyEnv: 'KEY' },
]

for (const options of wrong) {
  test(`${JSON.stringify(options)} is refused, and no key is repeated`, () => {
    assert.throws(
      () => upstreamOption(given(options), env),
      (thrown: Error) => 'exit' in thrown && thrown.exit === 'usage' && !/secret|sk-1/.test(thrown.message),
    )
  })
}

test('every upstream has a folder of its own, the same each time', () => {
  const folder = embeddedFolder(env, 'http://host:8000/v1')
  assert.match(folder, /^\/state\/embedded\/host-[0-9a-f]{12}$/)
  assert.equal(folder, embeddedFolder(env, 'http://host:8000/v1'))
  assert.notEqual(folder, embeddedFolder(env, 'http://host:8001/v1'))
  assert.match(embeddedFolder(env, 'http://[::1]:8000/v1'), /^\/state\/embedded\/___1_-[0-9a-f]{12}$/)
})
