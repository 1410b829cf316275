import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { test } from 'node:test'

/** What a folder of `src` may import from. `server.ts` alone puts concrete parts together. */
const mayImport: Record<string, readonly string[]> = {
  lib: [],
  domain: ['lib'],
  contract: ['lib', 'domain'],
  client: ['contract', 'domain'],
  jsonl: ['lib', 'domain'],
  cli: ['lib', 'domain', 'contract', 'client', 'jsonl'],
  web: ['contract', 'client'],
  store: ['lib', 'domain'],
  blobs: ['lib', 'domain'],
  results: ['lib', 'domain'],
  engine: ['lib', 'domain', 'store', 'blobs', 'results', 'jsonl'],
  api: ['lib', 'domain', 'contract', 'engine'],
  sim: ['lib', 'domain'],
}

/** The doors through which folders above meet: the composition root, and the commands that start it. */
const exceptions = new Set([
  'src/cli/commands/embedded-server.ts -> src/server.ts',
  'src/cli/commands/embedded-server.ts -> src/server-config.ts',
  'src/cli/commands/serve.ts -> src/server.ts',
  'src/cli/commands/serve.ts -> src/server-config.ts',
])

const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*['"](\.[^'"]+)['"]|import\(\s*['"](\.[^'"]+)['"]\s*\)/g

test('every import between folders goes the way of the table', () => {
  const wrong: string[] = []
  const files = globSync('src/**/*.ts')
  assert.ok(files.length > 10)
  for (const file of files) {
    const from = folderOf(file)
    if (from === null || file.endsWith('.test.ts')) continue
    for (const match of readFileSync(file, 'utf8').matchAll(importPattern)) {
      const target = relative('.', join(dirname(file), match[1] ?? match[2] ?? ''))
      const to = folderOf(target)
      if (to === from || (to !== null && mayImport[from]?.includes(to))) continue
      const edge = `${file} -> ${target}`
      if (!exceptions.has(edge)) wrong.push(edge)
    }
  }
  assert.deepEqual(wrong, [])
})

test('only one file each touches the clock, randomness and the files of the storage', () => {
  const guarded: { pattern: RegExp; owner: string; folders: RegExp }[] = [
    {
      pattern: /\bDate\.now\(|new Date\(\)/,
      owner: 'src/lib/clock.ts',
      folders: /^src\/(domain|engine|api|store|results|blobs)\//,
    },
    {
      pattern: /\bMath\.random\(|\brandomBytes\(/,
      owner: 'src/lib/random.ts',
      folders: /^src\/(domain|engine|api|store|results|blobs|sim)\//,
    },
    {
      pattern: /from 'node:fs(\/promises)?'/,
      owner: 'src/lib/',
      folders: /^src\/(domain|engine|api|store|results|blobs)\//,
    },
  ]
  const wrong = globSync('src/**/*.ts')
    .filter((file) => !file.endsWith('.test.ts'))
    .flatMap((file) => {
      const text = readFileSync(file, 'utf8')
      return guarded
        .filter((rule) => rule.folders.test(file) && !file.startsWith(rule.owner) && rule.pattern.test(text))
        .map((rule) => `${file}: ${rule.pattern}`)
    })
  assert.deepEqual(wrong, [])
})

function folderOf(path: string): string | null {
  const parts = path.split(sep)
  return parts[0] === 'src' && parts.length > 2 ? (parts[1] ?? null) : null
}
