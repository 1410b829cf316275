/** Tenants of a server that a benchmark measures. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ask } from '../test/kit/batch-api.ts'
import type { Headers } from './batch-run.ts'
import { upload } from './transfer.ts'
import type { BenchServer } from './world.ts'

export type Tenant = { headers: Headers; fileId: string }

/** A key of its own, and an uploaded request file. From the first key on every call needs one. */
export async function addTenant(
  server: BenchServer,
  options: { name: string; file: string },
): Promise<Tenant> {
  const ownerToken = readFileSync(join(server.sandbox.dataDir, 'owner-token'), 'utf8').trim()
  const { key } = await ask<{ key: string }>(`${server.url}/admin/v1/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ownerToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: options.name, tenant: options.name }),
  })
  const headers = { authorization: `Bearer ${key}` }
  const { id } = await upload(`${server.url}/v1/files`, options.file, headers)
  return { headers, fileId: id }
}
