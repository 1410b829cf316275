import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { createBatch, uploadFile } from './kit/batch-api.ts'
import { writeChatFile } from './kit/requests.ts'
import {
  createSandbox,
  dwPath,
  run,
  runDw,
  type ServerProcess,
  startServerProcess,
  withPathFirst,
} from './kit/server-process.ts'

const sandbox = createSandbox()
let env: NodeJS.ProcessEnv
let server: ServerProcess
let silent: Server
let ids: { batch: string; file: string }

before(async () => {
  server = await startServerProcess(sandbox, ['--sim'])
  writeChatFile(sandbox.path('batch.jsonl'), 1)
  const file = await uploadFile(server.url, sandbox.path('batch.jsonl'))
  ids = { file, batch: (await createBatch(server.url, file)).id }
  const bin = sandbox.path('bin')
  mkdirSync(bin)
  symlinkSync(dwPath, join(bin, 'dw'))
  symlinkSync(process.execPath, join(bin, 'node'))
  env = withPathFirst(sandbox.env, bin)
  await runDw(['login', server.url, '--name', 'production'], { env })
  await runDw(['upstream', 'add', server.url, '--name', 'engine-one'], { env })
  // It takes connections and never answers.
  silent = createServer(() => undefined)
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
})
after(async () => {
  silent.closeAllConnections()
  silent.close()
  await server.kill('SIGKILL')
  sandbox.remove()
})

/** What is offered for the last word, and what the shell is to do beside it. */
async function offers(
  words: readonly string[],
  environment = env,
): Promise<{ values: string[]; directive: string; ms: number }> {
  const startedAt = performance.now()
  const { stdout, stderr, exitCode } = await runDw(['complete', '--', ...words], {
    env: environment,
    cwd: sandbox.folder,
  })
  const ms = performance.now() - startedAt
  assert.deepEqual([exitCode, stderr], [0, ''], words.join(' '))
  const lines = stdout.trimEnd().split('\n')
  return {
    values: lines.slice(0, -1).map((line) => line.split('\t')[0] ?? ''),
    directive: lines.at(-1) ?? '',
    ms,
  }
}

test('R37: commands, options and values of options are offered', async () => {
  assert.deepEqual((await offers(['bat'])).values, ['batches'])
  assert.deepEqual((await offers(['batches', 'ca'])).values, ['cancel'])
  assert.deepEqual((await offers(['batches', 'run', 'batch.jsonl', '--wat'])).values, ['--watch'])
  assert.deepEqual((await offers(['batches', 'results', ids.batch, '--order', ''])).values, [
    'input',
    'completed',
  ])
  assert.deepEqual((await offers(['models', 'list', '--output', 'j'])).values, ['json'])
  assert.deepEqual((await offers(['completion', 'p'])).values, ['powershell'])
  assert.deepEqual((await offers(['help', 'exit'])).values, ['exit-codes'])
})

test('R37: ids, models, profiles and upstreams are those that there are', async () => {
  assert.deepEqual((await offers(['batches', 'get', ''])).values, [ids.batch])
  assert.ok((await offers(['--server', server.url, 'files', 'get', 'file-'])).values.includes(ids.file))
  assert.ok(
    (await offers(['batches', 'run', 'batch.jsonl', '--model', 'sim/ec'])).values.includes('sim/echo'),
  )
  assert.ok((await offers(['batches', 'run', 'batch.jsonl', '-m', ''])).values.includes('sim/echo'))
  assert.deepEqual((await offers(['models', 'list', '--profile', ''])).values, ['production'])
  assert.deepEqual((await offers(['upstream', 'test', 'eng'])).values, ['engine-one'])
})

test('R37: files are left to the shell where a file is meant, and nowhere else', async () => {
  assert.equal((await offers(['batches', 'run', ''])).directive, ':0')
  assert.equal((await offers(['batches', 'results', ids.batch, '-o', ''])).directive, ':0')
  assert.equal((await offers(['batches', 'get', ''])).directive, ':4')
})

test('R37: without a server, or with one that never answers, nothing is offered and in time', async () => {
  const silentUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const bare = (await offers(['batches', 'ca'])).ms
  for (const url of [silentUrl, 'http://127.0.0.1:9', 'no url']) {
    const { values, ms } = await offers(['--server', url, 'batches', 'get', ''])
    assert.deepEqual(values, [], url)
    // 300 ms are the budget; the start of the process is measured beside it, on a machine that may be busy.
    assert.ok(ms < bare * 2 + 300 + 500, `${url}: ${ms} ms, ${bare} ms without asking`)
  }
})

test('values that a shell would take apart or run are not offered', async () => {
  const evil = createServer((_request, response) => {
    const data = ['sim/good', '$(touch evil)', 'a b', '`id`', "it's", 'x;y', '\u001b[2J'].map((id) => ({
      id,
      object: 'model',
      created: 1,
      owned_by: '$(x)\n:4',
    }))
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(JSON.stringify({ object: 'list', data }))
  })
  await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(evil.address() as AddressInfo).port}`
  assert.deepEqual((await offers(['--server', url, 'models', 'get', ''])).values, ['sim/good'])
  evil.closeAllConnections()
  evil.close()
})

/** Loads the script in a shell and lets it complete a line. */
const shells: readonly {
  shell: 'bash' | 'zsh' | 'fish' | 'powershell'
  program: string
  ask(script: string, line: string): string[]
}[] = [
  {
    shell: 'bash',
    program: 'bash',
    ask: (script, line) => [
      '--norc',
      '-c',
      `source ${script}; source ${script}; COMP_LINE=${quoted(line)}; COMP_POINT=\${#COMP_LINE}; eval "COMP_WORDS=($COMP_LINE)"
       [[ "$COMP_LINE" == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((\${#COMP_WORDS[@]}-1)); compopt() { :; }; __dw_complete; printf '%s\\n' "\${COMPREPLY[@]}"`,
    ],
  },
  {
    shell: 'zsh',
    program: 'zsh',
    ask: (script, line) => [
      '-f',
      '-c',
      `compdef() { :; }; compadd() { :; }; _describe() { print -l -- $completions }; source ${script}
       words=(${line.trimEnd()}${line.endsWith(' ') ? " ''" : ''}); CURRENT=$#words; _dw`,
    ],
  },
  {
    shell: 'fish',
    program: 'fish',
    ask: (script, line) => ['--no-config', '-c', `source ${script}; complete -C ${quoted(line)}`],
  },
  {
    shell: 'powershell',
    program: 'pwsh',
    ask: (script, line) => [
      '-NoProfile',
      '-Command',
      `. ${script}; (TabExpansion2 -inputScript ${quoted(line)} -cursorColumn ${line.length}).CompletionMatches.CompletionText`,
    ],
  },
]

function quoted(text: string): string {
  return `'${text}'`
}

for (const { shell, program, ask } of shells) {
  const isThere = spawnSync(program, ['--version']).error === undefined
  test(`R37: the script for ${shell} is loaded by that shell and offers what there is`, {
    skip: isThere ? false : `${program} is not on this machine`,
  }, async () => {
    const script = sandbox.path(shell === 'powershell' ? 'dw.ps1' : `dw.${shell}`)
    writeFileSync(script, (await runDw(['completion', shell], { env })).stdout)
    const asked = async (line: string): Promise<string> => {
      const { stdout, stderr, exitCode } = await run(program, ask(script, line), { env, cwd: sandbox.folder })
      assert.equal(exitCode, 0, stderr)
      assert.equal(stderr, '')
      return stdout
    }
    assert.match(await asked('dw batches ca'), /^cancel\b/m)
    assert.match(await asked('dw batches results x --or'), /^--order\b/m)
    assert.match(await asked('dw batches get '), new RegExp(`^${ids.batch}\\b`, 'm'))
  })
}

test('R37: there is a script for each of the four shells', async () => {
  for (const { shell } of shells) {
    const { stdout, exitCode } = await runDw(['completion', shell], { env })
    assert.equal(exitCode, 0)
    assert.match(stdout, /dw complete|complete --/)
  }
})

test('in bash, what was typed is passed on as it is and never run', {
  skip: spawnSync('bash', ['--version']).error !== undefined,
}, async () => {
  const script = sandbox.path('dw.bash')
  writeFileSync(script, (await runDw(['completion', 'bash'], { env })).stdout)
  const command = `source ${script}; COMP_WORDS=(dw ask '$(touch ran)' '\`touch ran\`' ''); COMP_CWORD=4; compopt() { :; }; __dw_complete; true`
  assert.equal((await run('bash', ['--norc', '-c', command], { env, cwd: sandbox.folder })).exitCode, 0)
  assert.throws(() => readFileSync(sandbox.path('ran')))
})
