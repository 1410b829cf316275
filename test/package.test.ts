import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createSandbox, projectFolder, run } from './kit/server-process.ts'

const sandbox = createSandbox()
after(() => sandbox.remove())

test('what is published runs without its sources', async () => {
  const packed = sandbox.path('package')
  mkdirSync(packed)
  for (const part of ['bin', 'package.json'])
    cpSync(join(projectFolder, part), join(packed, part), { recursive: true })
  const modules = join(projectFolder, 'node_modules')
  symlinkSync(modules, join(packed, 'node_modules'))
  const compiler = join(modules, 'typescript', 'bin', 'tsc')
  const words = [compiler, '-p', join(projectFolder, 'tsconfig.build.json'), '--outDir', join(packed, 'dist')]
  const built = await run(process.execPath, words, { cwd: projectFolder })
  assert.deepEqual([built.exitCode, built.stdout, built.stderr], [0, '', ''])
  assert.equal(existsSync(join(packed, 'dist', 'cli', 'main.test.js')), false)

  const dw = (...more: string[]) =>
    run(process.execPath, [join(packed, 'bin', 'dw.js'), ...more], { env: sandbox.env })
  assert.match((await dw('--version')).stdout, /^\d+\.\d+\.\d+\n$/)
  assert.equal((await dw('serve', '--help')).exitCode, 0)
  const asked = await dw('models', 'list', '--server', 'http://127.0.0.1:9')
  assert.notEqual(asked.exitCode, 0)
  assert.match(asked.stderr, /127\.0\.0\.1:9/)
})
