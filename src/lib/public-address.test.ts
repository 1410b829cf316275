import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPublicAddress, lookupPublic, requirePublicHost } from './public-address.ts'

test('addresses of this machine, its network and of no one are not public', () => {
  const inner = [
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    'fe80::1',
    'fd00::1',
    'ff02::1',
    'no address',
    '',
  ]
  assert.deepEqual(inner.filter(isPublicAddress), [])
  const outer = [
    '8.8.8.8',
    '1.1.1.1',
    '172.15.0.1',
    '172.32.0.1',
    '100.128.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ]
  assert.deepEqual(
    outer.filter((address) => !isPublicAddress(address)),
    [],
  )
})

test('a host that is written as an inner address in any of its forms is refused', () => {
  const urls = [
    'http://127.0.0.1/',
    'http://0x7f.1/',
    'http://2130706433/',
    'http://[::1]:80/',
    'http://[::ffff:7f00:1]/',
  ]
  for (const url of urls) assert.throws(() => requirePublicHost(new URL(url)), /no public address/, url)
  requirePublicHost(new URL('https://example.com/'))
})

test('a name that leads to this machine is refused', async () => {
  const refusal = await new Promise<Error | null>((resolve) => {
    lookupPublic('localhost', {}, (cause) => resolve(cause))
  })
  assert.match(String(refusal?.message), /localhost \(.*\) is no public address/)
})
