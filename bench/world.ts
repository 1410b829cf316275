/**
 * What a benchmark stands on: a folder of its own, request files written once, servers and upstreams as real processes. `close`
 * stops and removes all of it, also when the benchmark failed half-way.
 */
import { once } from 'node:events'
import { createWriteStream, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { configFlags, createSandbox, type Sandbox, startServerProcess } from '../test/kit/server-process.ts'
import { BENCH_MODEL } from './instant-upstream.ts'
import { type BenchUpstream, type ChildServer, startFileServer, startInstantUpstream } from './processes.ts'

/** Guess: what the system and everything else on the disk keep. */
const FREE_BYTES_MIN = 4e9

export type BenchServer = {
  url: string
  pid: number
  sandbox: Sandbox
  stop(): Promise<void>
  kill(): Promise<void>
}

export type ServerOptions = {
  upstream: BenchUpstream
  /** Requests in flight at the upstream. */
  concurrency: number
  /** Of an earlier server, to go on with its data. */
  sandbox?: Sandbox
}

export type World = {
  /** Where commands run that need no server of their own. */
  home: Sandbox
  /** A path inside the folder. */
  path(name: string): string
  sandbox(): Sandbox
  /** A file of so many chat requests, each line exactly so long; the same file again for the same numbers. */
  requestFile(lines: number, lineBytes: number): Promise<string>
  startUpstream(): Promise<BenchUpstream>
  startServer(options: ServerOptions): Promise<BenchServer>
  /** A bare server of the files in the world's folder; takes uploads, too. */
  startFileServer(): Promise<ChildServer>
  close(): Promise<void>
}

export function createWorld(): World {
  const sandboxes: Sandbox[] = []
  const addSandbox = (): Sandbox => {
    const sandbox = createSandbox()
    sandboxes.push(sandbox)
    // As on a machine on which the program has run before: compiled code is where the program itself keeps it.
    delete sandbox.env.NODE_COMPILE_CACHE
    return sandbox
  }
  const home = addSandbox()
  const running = new Set<{ stop(): Promise<unknown> }>()
  const files = new Map<string, Promise<string>>()
  const track = <T extends { stop(): Promise<unknown> }>(process: T): T => {
    running.add(process)
    return process
  }
  return {
    home,
    path: home.path,
    sandbox: addSandbox,
    requestFile(lines, lineBytes) {
      const name = `requests-${lines}x${lineBytes}.jsonl`
      const path = home.path(name)
      const file = files.get(name) ?? writeRequests(path, { lines, lineBytes }).then(() => path)
      files.set(name, file)
      return file
    },
    startUpstream: async () => track(await startInstantUpstream()),
    startFileServer: async () => track(await startFileServer(home.folder)),
    async startServer({ upstream, concurrency, sandbox = addSandbox() }) {
      const flags = configFlags(sandbox, { url: `${upstream.origin}/v1`, concurrency })
      const { url, pid, kill } = await startServerProcess(sandbox, flags)
      // Its data is of no use any more, and a silent upstream would keep it waiting.
      track({ stop: () => kill('SIGKILL') })
      return {
        url,
        pid,
        sandbox,
        stop: async () => void (await kill('SIGTERM')),
        kill: async () => void (await kill('SIGKILL')),
      }
    },
    async close() {
      for (const process of running) await process.stop()
      for (const sandbox of sandboxes) sandbox.remove()
    },
  }
}

/** As JSON writes it: words, escaped quotes and line breaks, and letters of more than one byte. */
const PROSE = JSON.stringify('He asked: "How far is it?" \n Über 20 km, she said – or so. ').slice(1, -1)

function requireFreeBytes(bytes: number): void {
  const { bavail, bsize } = statfsSync(tmpdir())
  if (bavail * bsize < bytes + FREE_BYTES_MIN)
    throw new Error(`${tmpdir()} has ${bavail * bsize} bytes free; ${bytes + FREE_BYTES_MIN} are needed`)
}

/** Guess: pieces in which a file is written. */
const PIECE_BYTES = 1 << 20

async function writeRequests(
  path: string,
  { lines, lineBytes }: { lines: number; lineBytes: number },
): Promise<void> {
  // The file, the server's copy of it, and as much again for results.
  requireFreeBytes(lines * lineBytes * 3)
  const stream = createWriteStream(path)
  const opening = (number: number): string =>
    `{"custom_id":"request-${number}","method":"POST","url":"/v1/chat/completions","body":{"model":"${BENCH_MODEL}","messages":[{"role":"user","content":"${number}: `
  const closing = '"}]}}\n'
  const prose = Buffer.from(PROSE.repeat(Math.ceil(lineBytes / PROSE.length)))
  const proseBytes = Buffer.byteLength(PROSE)
  let piece: Buffer[] = []
  let pieceBytes = 0
  for (let number = 0; number < lines; number += 1) {
    const front = Buffer.from(opening(number))
    const roomBytes = Math.max(0, lineBytes - front.byteLength - closing.length)
    // Whole sentences only, so that no letter and no escape is cut; blanks fill up what remains.
    const filled = roomBytes - (roomBytes % proseBytes)
    piece.push(front, prose.subarray(0, filled), Buffer.from(' '.repeat(roomBytes - filled) + closing))
    pieceBytes += front.byteLength + roomBytes + closing.length
    if (pieceBytes < PIECE_BYTES && number < lines - 1) continue
    if (!stream.write(Buffer.concat(piece))) await once(stream, 'drain')
    piece = []
    pieceBytes = 0
  }
  stream.end()
  await once(stream, 'close')
}
