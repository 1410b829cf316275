/**
 * `--jq`: every object that a command prints goes through an expression. Imported only when it is asked for.
 *
 * The library runs the real jq once per call, and reads and writes byte by byte in a time that grows with the square of the size. So
 * many objects go through one call, and its two functions for bytes are replaced by ones that move blocks. Each call also takes a little
 * of its stack for good: an instance is used for so many calls and then replaced by a new one.
 */
import createInstance from 'jq-wasm/dist/build/jq.js'
import { assert } from '../lib/errors.ts'
import { CliError } from './cli-error.ts'
import { oneLine } from './format.ts'

/** Measured: one instance fails for want of stack after about 300 calls. */
const CALLS_MAX = 100
/** Guess: many calls cost more than many bytes. */
const BATCH_BYTES = 256 * 1024
/** Required by the limit of a line. */
const LINE_BYTES_MAX = 64 * 1024 * 1024
/** Guess: an expression that makes more of one batch of objects is a mistake, and would fill the memory. */
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024

/** What goes in as JSON comes out as lines of the expression's results. */
export type Filter = {
  /** One object as JSON. */
  add(json: string): void
  /** JSON Lines in pieces of any size; resolves when more may come. @throws CliError bad_jq */
  bytes(chunk: Uint8Array): Promise<void>
  /** Resolves when all is written. @throws CliError bad_jq for the first object that the expression could not take */
  end(): Promise<void>
}

/** @throws CliError bad_jq when the expression cannot be read; nothing was asked or sent by then */
export async function createFilter(
  expression: string,
  write: (text: string) => Promise<void>,
): Promise<Filter> {
  const jq = await createJq(expression)
  const { problem } = await jq.run(Buffer.alloc(0))
  if (problem !== null) throw jqError(problem)
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let isPlanned = false
  let trouble: unknown = null
  let last: Promise<void> = Promise.resolve()
  const flush = (): Promise<void> => {
    const input = Buffer.concat(waiting)
    waiting = []
    waitingBytes = 0
    last = last.then(async () => {
      if (input.byteLength === 0 || trouble !== null) return
      const { output, problem: found } = await jq.run(input)
      if (output !== '') await write(output)
      if (found !== null) throw jqError(found)
    })
    last = last.catch((thrown: unknown) => {
      trouble ??= thrown
    })
    return last
  }
  const keep = (part: Uint8Array): void => {
    waiting.push(part)
    waitingBytes += part.byteLength
  }
  const cut = createCutter()
  return {
    add(json) {
      keep(Buffer.from(`${json}\n`))
      if (isPlanned) return
      isPlanned = true
      // Whatever is printed in one go is one call; a command that waits for something shows what it has.
      setImmediate(() => {
        isPlanned = false
        void flush()
      })
    },
    async bytes(chunk) {
      keep(cut.whole(chunk))
      if (waitingBytes >= BATCH_BYTES) await flush()
      if (trouble !== null) throw trouble
    },
    async end() {
      keep(cut.rest())
      await flush()
      if (trouble !== null) throw trouble
    },
  }
}

/** Gives whole lines of what comes in pieces. */
function createCutter(): { whole(chunk: Uint8Array): Uint8Array; rest(): Uint8Array } {
  let begun: Uint8Array[] = []
  let begunBytes = 0
  const rest = (): Uint8Array => {
    const all = Buffer.concat(begun)
    begun = []
    begunBytes = 0
    return all
  }
  return {
    rest,
    whole(chunk) {
      const end = chunk.lastIndexOf(0x0a) + 1
      // The caller may write over its piece afterwards.
      const head = end === 0 ? Buffer.alloc(0) : Buffer.concat([rest(), chunk.subarray(0, end)])
      begun.push(Buffer.from(chunk.subarray(end)))
      begunBytes += chunk.byteLength - end
      if (begunBytes > LINE_BYTES_MAX) throw jqError('a line is longer than possible')
      return head
    },
  }
}

function jqError(problem: string): CliError {
  const lines = problem.split('\n').filter((line) => !/^jq: \d+ compile error/.test(line))
  const first = oneLine(lines[0] ?? '')
    .replace(/ at <top-level>, line 1:?$/, '')
    .replace(/ \(at \/dev\/stdin:\d+\)/, '')
  const failed = lines.filter((line) => line.startsWith('jq: error (at')).length
  const more = failed > 1 ? ` (and for ${failed - 1} more)` : ''
  return new CliError('bad_jq', `${first.startsWith('jq: ') ? first : `jq: ${first}`}${more}`, {
    exit: 'usage',
  })
}

type Jq = { run(input: Buffer): Promise<{ output: string; problem: string | null }> }

async function createJq(expression: string): Promise<Jq> {
  let instance = await startInstance()
  let calls = 0
  return {
    async run(input) {
      if (calls >= CALLS_MAX) {
        instance = await startInstance()
        calls = 0
      }
      calls += 1
      const { exitCode } = process
      const { output, problem } = instance(['-M', '-c', '-r', expression, '/dev/stdin'], input)
      // The library sets the exit code of the whole process.
      process.exitCode = exitCode
      return { output, problem }
    },
  }
}

/** As much as is needed of what every runtime has; the types of Node do not name it. */
type WebAssemblyApi = {
  Memory: new (size: { initial: number }) => Memory
  instantiate(bytes: unknown, imports: Imports): Promise<{ instance: { exports: Record<string, unknown> } }>
}
type Memory = { buffer: ArrayBuffer }
type Imports = Record<string, Record<string, unknown>>
// See above: it is there.
const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi }

type Instance = (words: string[], input: Buffer) => { output: string; problem: string | null }

type Moves = { input: Buffer; stdout: Buffer[]; stderr: Buffer[]; stdoutBytes: number; memory: Memory | null }

const STDERR = 2

async function startInstance(): Promise<Instance> {
  const moves: Moves = { input: Buffer.alloc(0), stdout: [], stderr: [], stdoutBytes: 0, memory: null }
  const { instantiate } = WebAssembly
  // The library keeps its functions to itself; they pass by here while it starts.
  WebAssembly.instantiate = async (bytes, imports) => {
    const isOurs = replaceMoves(imports, moves)
    const made = await instantiate(bytes, imports)
    const isMemory = (part: unknown): part is Memory => part instanceof WebAssembly.Memory
    if (isOurs) moves.memory = Object.values(made.instance.exports).find(isMemory) ?? null
    return made
  }
  // The types of the library say nothing of what it gives.
  const starting = createInstance() as Promise<{ callMain(words: string[]): unknown }>
  const library = await starting.finally(() => {
    WebAssembly.instantiate = instantiate
  })
  assert(moves.memory !== null, 'the jq library has another shape than this program knows')
  return (words, input) => {
    Object.assign(moves, { input, stdout: [], stderr: [], stdoutBytes: 0 })
    library.callMain(words)
    const problem = Buffer.concat(moves.stderr).toString('utf8').trim()
    return { output: Buffer.concat(moves.stdout).toString('utf8'), problem: problem === '' ? null : problem }
  }
}

/** @returns whether these are the imports of the library, whose two functions for bytes then are ours */
function replaceMoves(imports: Imports, moves: Moves): boolean {
  let replaced = 0
  for (const part of Object.values(imports ?? {})) {
    for (const [name, given] of Object.entries(part)) {
      if (typeof given !== 'function') continue
      if (given.name === '_fd_read') part[name] = (...facts: number[]) => move(moves, facts, readInto)
      else if (given.name === '_fd_write') part[name] = (...facts: number[]) => move(moves, facts, writeFrom)
      else continue
      replaced += 1
    }
  }
  return replaced === 2
}

type MovePart = (moves: Moves, part: Buffer, fd: number) => number

/** Both functions take a file, a list of (address, length), its length, and where the number of bytes goes. @returns 0, for success */
function move(moves: Moves, facts: number[], movePart: MovePart): number {
  const [fd = 0, list = 0, count = 0, result = 0] = facts
  assert(moves.memory !== null, 'nothing is moved before the start')
  const view = new DataView(moves.memory.buffer)
  let bytes = 0
  for (let at = list; at < list + count * 8; at += 8) {
    const part = Buffer.from(moves.memory.buffer, view.getUint32(at, true), view.getUint32(at + 4, true))
    bytes += movePart(moves, part, fd)
  }
  view.setUint32(result, bytes, true)
  return 0
}

function readInto(moves: Moves, part: Buffer): number {
  const taken = moves.input.copy(part)
  moves.input = moves.input.subarray(taken)
  return taken
}

function writeFrom(moves: Moves, part: Buffer, fd: number): number {
  moves.stdoutBytes += part.byteLength
  if (moves.stdoutBytes > OUTPUT_BYTES_MAX)
    throw jqError('the expression makes too much of what it was given')
  const target = fd === STDERR ? moves.stderr : moves.stdout
  target.push(Buffer.from(part))
  return part.byteLength
}
