import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { openRig } from '../../test/kit/service-rig.ts'
import { keyHash } from '../domain/ids.ts'

const rig = await openRig()
after(() => rig.close())

test('a key is told once, and only its hash and its last characters are kept', async () => {
  const { key, secret } = await rig.service.createKey({ name: 'laptop', tenantId: null, expiresAt: null })
  // 160 random bits in base32.
  assert.match(secret, /^dw_[a-z2-7]{32}$/)
  assert.equal(key.tail, secret.slice(-4))
  assert.match(key.tenantId, /^tenant_[a-z2-7]{26}$/)
  assert.deepEqual(await rig.store.keys.findByHash(keyHash(secret)), key)
  assert.deepEqual(await rig.service.listKeys(), [key])
  assert.ok(!JSON.stringify(key).includes(secret))
})

test('keys of one tenant differ, and a revoked key stays in the list with its instant', async () => {
  const request = { name: 'server', tenantId: 'local', expiresAt: 5 }
  const first = await rig.service.createKey(request)
  const second = await rig.service.createKey(request)
  assert.notEqual(first.secret, second.secret)
  assert.deepEqual([first.key.tenantId, second.key.tenantId, first.key.expiresAt], ['local', 'local', 5])
  assert.equal(await rig.service.revokeKey(first.key.id), true)
  assert.equal(await rig.service.revokeKey(first.key.id), false)
  assert.equal(await rig.service.revokeKey('key_none'), false)
  const listed = (await rig.service.listKeys()).find(({ id }) => id === first.key.id)
  assert.equal(listed?.revokedAt, rig.clock.now())
})
