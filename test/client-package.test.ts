/** What is published, as another project sees it: packed, unpacked there, type-checked and run, without the network. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { after, before, test } from 'node:test'
import { createSandbox, projectFolder, run, startServerProcess } from './kit/server-process.ts'

const sandbox = createSandbox()
after(() => sandbox.remove())
const project = sandbox.path('project')
const installed = join(project, 'node_modules', 'dw')
const compiler = join(projectFolder, 'node_modules', 'typescript', 'bin', 'tsc')

before(async () => {
  const source = sandbox.path('source')
  mkdirSync(source)
  for (const part of ['bin', 'package.json', 'README.md', 'CHANGELOG.md'])
    cpSync(join(projectFolder, part), join(source, part), { recursive: true })
  const words = [compiler, '-p', join(projectFolder, 'tsconfig.build.json'), '--outDir', join(source, 'dist')]
  const built = await run(process.execPath, words, { cwd: projectFolder })
  assert.deepEqual([built.exitCode, built.stdout], [0, ''])
  const packing = ['pack', '--ignore-scripts', '--offline', '--silent']
  const packed = await run('npm', packing, { cwd: source, env: sandbox.env })
  assert.equal(packed.exitCode, 0, packed.stderr)
  mkdirSync(dirname(installed), { recursive: true })
  const unpacked = await run('tar', ['-xzf', join(source, packed.stdout.trim()), '-C', project])
  assert.equal(unpacked.exitCode, 0, unpacked.stderr)
  renameSync(join(project, 'package'), installed)
  writeFileSync(join(project, 'package.json'), '{"type":"module"}')
})

/** The examples of the page, each a program of its own. */
function examplesAt(url: string): string[] {
  const page = readFileSync(join(projectFolder, 'docs', 'client.md'), 'utf8')
  const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1] ?? '')
  return blocks.map((block) => {
    assert.ok(block.includes("'http://127.0.0.1:4111'"))
    return block.replace('http://127.0.0.1:4111', url)
  })
}

test('nothing that the library imports is outside of the package, or of Node', () => {
  const seen = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    const text = readFileSync(file, 'utf8')
    for (const [, name = ''] of text.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
      assert.match(name, /^\.\.?\//, `${relative(installed, file)} imports ${name}`)
      visit(join(dirname(file), name))
    }
    assert.doesNotMatch(text, /\b(Buffer|process|require)\b[.(]/, relative(installed, file))
  }
  visit(join(installed, 'dist', 'client', 'index.js'))
  assert.ok(seen.size > 5)
})

test('the examples of docs/client.md compile in a strict project that knows no types of Node', async () => {
  const names = examplesAt('http://127.0.0.1:4111').map((example, number) => {
    const name = `example-${number}.ts`
    writeFileSync(join(project, name), example)
    return name
  })
  assert.ok(names.length >= 3)
  const compilerOptions = {
    strict: true,
    noEmit: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    types: [],
    target: 'es2022',
    lib: ['es2024', 'dom', 'dom.iterable', 'dom.asynciterable'],
    module: 'nodenext',
  }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: names }))
  const checked = await run(process.execPath, [compiler, '-p', project], { cwd: project })
  assert.deepEqual([checked.exitCode, checked.stdout], [0, ''])
})

test('the examples of docs/client.md run against a server with the simulated model', async (t) => {
  const server = await startServerProcess(sandbox, ['--sim'])
  t.after(() => server.stop())
  const ends = [/^3 succeeded, 0 failed, 0 missing\n$/, /\nbatch_\w+ completed\n$/, /\n2 succeeded\n$/]
  for (const [number, example] of examplesAt(server.url).entries()) {
    writeFileSync(join(project, `run-${number}.ts`), example)
    const ran = await run(process.execPath, [join(project, `run-${number}.ts`)], { env: sandbox.env })
    assert.equal(ran.exitCode, 0, ran.stderr)
    assert.match(ran.stdout, ends[number] ?? /./)
  }
})
