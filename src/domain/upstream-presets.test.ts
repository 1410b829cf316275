import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { isLocalPreset, upstreamPresets } from './upstream-presets.ts'

test('every preset names one address of an API, over TLS unless it is on this machine', () => {
  assert.equal(new Set(upstreamPresets.map(({ name }) => name)).size, upstreamPresets.length)
  assert.equal(new Set(upstreamPresets.map(({ url }) => url)).size, upstreamPresets.length)
  for (const preset of upstreamPresets) {
    const { name, url, concurrency, says } = preset
    assert.match(name, /^[a-z0-9]+$/)
    assert.match(url, /\/v\d+[a-z]*(\/openai)?$/, `${name} ends in the version of its API`)
    const { protocol, port, search, username } = new URL(url)
    assert.equal(search + username, '')
    assert.equal(protocol, isLocalPreset(preset) ? 'http:' : 'https:', name)
    assert.equal(port !== '', isLocalPreset(preset), `${name} has a port of its own only on this machine`)
    assert.ok(concurrency >= 1 && concurrency <= 64)
    assert.notEqual(says, '')
  }
})

test('a service demands the key in its own variable, an engine on this machine demands none', () => {
  for (const preset of upstreamPresets) {
    assert.equal(preset.isKeyNeeded, !isLocalPreset(preset), preset.name)
    if (preset.isKeyNeeded) assert.notEqual(preset.keyVariable, null)
    if (preset.keyVariable !== null) assert.match(preset.keyVariable, /^[A-Z]+_API_KEY$/)
  }
})

test('the engines that most people have at home are there', () => {
  const names = upstreamPresets.map(({ name }) => name)
  for (const name of ['vllm', 'sglang', 'ollama', 'llamacpp', 'lmstudio', 'openai', 'openrouter'])
    assert.ok(names.includes(name), name)
})

test('the page of the configuration shows the presets as they are', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')
  for (const { name, url, keyVariable, isKeyNeeded, concurrency, says } of upstreamPresets) {
    const key = keyVariable === null ? 'none' : `\`${keyVariable}\`${isKeyNeeded ? '' : ', optional'}`
    assert.ok(page.includes(`| \`${name}\` | ${says} | ${url} | ${key} | ${concurrency} |\n`), name)
  }
})
