import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { projectFolder } from '../test/kit/server-process.ts'
import { RefusedError } from './lib/errors.ts'
import { type ConfigFlags, readServerConfig } from './server-config.ts'

const folder = mkdtempSync(join(tmpdir(), 'dw-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function read(text: string | null, flags: ConfigFlags = {}, env: NodeJS.ProcessEnv = {}) {
  const file = text === null ? null : join(folder, 'dw.toml')
  if (file !== null) writeFileSync(file, text ?? '')
  return readServerConfig({ file, flags, env: { HOME: folder, ...env } })
}

function refusalOf(text: string, env: NodeJS.ProcessEnv = {}): string {
  try {
    read(text, {}, env)
  } catch (thrown) {
    assert.ok(thrown instanceof RefusedError, String(thrown))
    assert.equal(thrown.code, 'invalid_config')
    return thrown.message
  }
  return assert.fail('nothing was refused')
}

test('without a file and flags a server listens on loopback and asks for no key', () => {
  const config = read(null, {}, { XDG_DATA_HOME: join(folder, 'share') })
  assert.deepEqual([config.host, config.port, config.isKeyRequired], ['127.0.0.1', 4111, false])
  assert.equal(config.dataDir, join(folder, 'share', 'dw'))
  assert.deepEqual(
    config.windows.map(({ window }) => window),
    ['24h', '1h'],
  )
  assert.deepEqual(config.prices, [])
})

test('flags go before the file, the file before the defaults', () => {
  const text = 'host = "127.0.0.2"\nport = 5000\ndata_dir = "/tmp/from-file"\n'
  const config = read(text, { port: 6000 })
  assert.deepEqual([config.host, config.port, config.dataDir], ['127.0.0.2', 6000, '/tmp/from-file'])
})

test('a key comes from the variable or the file that is named, at the start', () => {
  const keyFile = join(folder, 'key')
  writeFileSync(keyFile, 'sk-from-file\n')
  const text = `
[[upstreams]]
name = "a"
url = "http://localhost:8000/v1/"
key_env = "ENGINE_KEY"
[[upstreams]]
name = "b"
url = "http://localhost:8001/v1"
key_file = "${keyFile}"
concurrency = 7
`
  const [a, b] = read(text, {}, { ENGINE_KEY: 'sk-from-env' }).upstreams
  assert.deepEqual([a?.key, a?.url], ['sk-from-env', 'http://localhost:8000/v1'])
  assert.deepEqual([b?.key, b?.concurrency], ['sk-from-file', 7])
  assert.match(refusalOf(text), /variable ENGINE_KEY, which is not set/)
})

const upstream = (more: string): string =>
  `[[upstreams]]\nname = "a"\nurl = "http://localhost:8000/v1"\n${more}`

const refusals: [string, string, RegExp][] = [
  ['no TOML', 'port = = 1', /cannot be read/],
  ['an unknown field', 'prot = 1', /is wrong: Unrecognized key: "prot"/],
  ['a port out of range', 'port = 70000', /is wrong at 'port'/],
  ['a port that is a text', 'port = "4111"', /is wrong at 'port'/],
  [
    'a window that is no duration',
    '[[windows]]\nwindow = "soon"',
    /at 'windows\.0\.window': expected a duration/,
  ],
  [
    'a window twice',
    '[[windows]]\nwindow = "1h"\n[[windows]]\nwindow = "1h"',
    /at 'windows': 1h stands there twice/,
  ],
  ['an engine twice', upstream(upstream('')), /at 'upstreams': a stands there twice/],
  ['an engine without an address', '[[upstreams]]\nname = "a"', /at 'upstreams\.0\.url'/],
  [
    'an address that is none',
    upstream('').replace('http:', 'htp:'),
    /at 'upstreams\.0\.url': expected an address/,
  ],
  ['an address with a key in it', upstream('').replace('//', '//user:sk-x@'), /without a key in it/],
  ['a name with a space', upstream('').replace('"a"', '"a b"'), /at 'upstreams\.0\.name': use a-z/],
  [
    'a price that is a number',
    '[[prices]]\nmodel="m"\nwindow="24h"\ninput_per_million=0.1\noutput_per_million="1"',
    /at 'prices\.0\.input_per_million'/,
  ],
  [
    'a price with too many decimals',
    '[[prices]]\nmodel="m"\nwindow="24h"\ninput_per_million="0.1234567"\noutput_per_million="1"',
    /decimal text with at most 6 decimals/,
  ],
  ['a limit below its least', '[limits]\nattempts = 0', /at 'limits\.attempts'/],
]

for (const [what, text, message] of refusals) {
  test(`a file with ${what} is refused, and the refusal names the place`, () => {
    const refusal = refusalOf(text)
    assert.match(refusal, message)
    assert.doesNotMatch(refusal, /sk-x/)
  })
}

test('a file that is not there is refused by its name', () => {
  const file = join(folder, 'absent.toml')
  assert.throws(() => readServerConfig({ file, flags: {}, env: {} }), /absent\.toml cannot be read/)
})

test('the file that the documentation shows is a valid one', () => {
  const page = readFileSync(join(projectFolder, 'docs', 'configuration.md'), 'utf8')
  const [, text = ''] = /```toml\n([\s\S]*?)```/.exec(page) ?? []
  assert.notEqual(text, '')
  const config = read(text, {}, { VLLM_KEY: 'sk-x' })
  assert.equal(config.upstreams[0]?.key, 'sk-x')
  assert.equal(config.prices.length, 1)
})
