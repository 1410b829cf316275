/** A process that runs one command line after the other, as `dw-runner.ts` asks: for tests of very many commands, of which starting is most. */
import { main } from '../../src/cli/main.ts'
import type { HostTask } from './dw-runner.ts'
import type { CommandResult } from './server-process.ts'

process.on('message', (task: HostTask) => {
  void runTask(task).then((answer) => process.send?.(answer))
})

// The test that it serves has ended, in whatever way.
process.on('disconnect', () => process.exit())

async function runTask({ words, cwd, env }: HostTask): Promise<CommandResult> {
  process.chdir(cwd)
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, env)
  // Some commands name the words they were called with.
  process.argv.splice(2, process.argv.length, ...words)
  const stdout = captured(process.stdout)
  const stderr = captured(process.stderr)
  try {
    const exitCode = await main(words)
    return { exitCode, stdout: stdout.text(), stderr: stderr.text() }
  } finally {
    stdout.release()
    stderr.release()
  }
}

function captured(stream: NodeJS.WriteStream): { text(): string; release(): void } {
  const chunks: Buffer[] = []
  const { write } = stream
  // The command may pass an encoding or a callback; both are taken as a stream takes them.
  stream.write = (chunk: string | Uint8Array, ...more: unknown[]): boolean => {
    chunks.push(Buffer.from(chunk))
    for (const one of more) if (typeof one === 'function') queueMicrotask(() => one())
    return true
  }
  return {
    text: () => Buffer.concat(chunks).toString('utf8'),
    release() {
      stream.write = write
      stream.removeAllListeners('error')
    },
  }
}
