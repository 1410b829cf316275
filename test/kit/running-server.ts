/** The real composition within the test's own process, on a free loopback port, with a folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerConfig } from '../../src/domain/config.ts'
import { type RunningServer, startServer } from '../../src/server.ts'
import { readServerConfig } from '../../src/server-config.ts'
import { testDatabase } from './deployment.ts'

export type TestServer = RunningServer & {
  port: number
  folder: string
  /** Stops the server and removes the folder. */
  remove(): Promise<void>
}

export type TestConfig = Partial<Omit<ServerConfig, 'limits' | 'timing'>> & {
  limits?: Partial<ServerConfig['limits']>
  timing?: Partial<ServerConfig['timing']>
  /** An upstream in place of the simulated model. */
  upstreamUrl?: string
}

export function testConfig(folder: string, more: TestConfig = {}): ServerConfig {
  const { upstreamUrl, limits, timing, ...rest } = more
  const config = readServerConfig({
    file: null,
    flags: { port: 0, dataDir: join(folder, 'data'), simulated: 'off' },
    env: {},
  })
  const upstreams =
    upstreamUrl === undefined ? [] : [{ name: 'test', url: upstreamUrl, key: null, concurrency: 8 }]
  return {
    ...config,
    upstreams,
    // What a test provokes is not worth a line.
    logLevel: 'silent',
    ...rest,
    limits: { ...config.limits, uploadFreeBytesMin: 0, dispatchFreeBytesMin: 0, ...limits },
    timing: { ...config.timing, ...timing },
  }
}

export async function startTestServer(more: TestConfig = {}): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'dw-'))
  const config = testConfig(folder, more)
  const url = await testDatabase(config.dataDir)
  const database = url === null ? config.database : { url, isUnsafeAllowed: false }
  const server = await startServer(
    { ...config, database },
    {
      mayMovePort: false,
      env: { DW_STATE_DIR: join(folder, 'state') },
    },
  )
  return {
    ...server,
    port: Number(new URL(server.url).port),
    folder,
    async remove() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Longest wait for the other side to close the connection. */
const CLOSE_MS_MAX = 10_000

/**
 * Sends bytes as they are and reads until the other side closes.
 * @returns the reply as text; empty when the connection closed without one
 */
export async function sendRaw(port: number, ...parts: (string | Uint8Array)[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const received: Buffer[] = []
  socket.on('data', (chunk: Buffer) => received.push(chunk))
  socket.on('error', () => {
    // A reset is how some of these end; what had arrived by then is what counts.
  })
  socket.setTimeout(CLOSE_MS_MAX, () => socket.destroy())
  const closed = new Promise((resolve) => socket.once('close', resolve))
  for (const part of parts) socket.write(part)
  await closed
  return Buffer.concat(received).toString('utf8')
}

export type Part = { name: string; value: string | Uint8Array; filename?: string }

export const BOUNDARY = 'dw-test-boundary'

/** A form exactly in the order given. */
export function formOf(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, value, filename }) => [
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"${filename === undefined ? '' : `; filename="${filename}"`}\r\n`,
    `${filename === undefined ? '' : 'content-type: application/octet-stream\r\n'}\r\n`,
    value,
    '\r\n',
  ])
  return Buffer.concat([...pieces, `--${BOUNDARY}--\r\n`].map((piece) => Buffer.from(piece)))
}

export const formType = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
