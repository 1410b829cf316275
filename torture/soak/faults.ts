/** What happens to a server in a long life. Each fault is over when its promise resolves. */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { errorReply, type Reply } from '../../test/kit/scripted-upstream.ts'
import type { World } from '../world/world.ts'

export type Fault = { name: string; strike(world: World): Promise<void> }

const FAULT_MS = 2_000
const HANG_UPS = 20

export const faults: readonly Fault[] = [
  {
    name: 'SIGKILL',
    async strike(world) {
      await world.kill()
      await world.restart()
    },
  },
  {
    name: 'SIGTERM and a new start',
    async strike(world) {
      const code = await world.end('SIGTERM')
      if (code !== 0) world.violate('a stop ends with exit code 0', `exit ${code}`)
      await world.restart()
    },
  },
  { name: 'the process stands still for 2 s', strike: (world) => world.pause(FAULT_MS) },
  breakEngine('the engine answers 503', () => errorReply(503)),
  breakEngine('the engine answers 500', () => errorReply(500)),
  breakEngine('the engine answers 401', () => errorReply(401)),
  breakEngine('the engine resets every connection', () => ({ breakAt: 'reset' })),
  breakEngine('the engine breaks off in the middle of its answers', () => ({
    breakAt: 'reset-in-body',
    body: '{"id":"half of an answer"}',
  })),
  breakEngine('the engine answers with HTML', () => ({ body: '<html>502</html>' })),
  { name: 'clients hang up in the middle of an upload', strike: hangUp },
]

function breakEngine(name: string, reply: () => Reply): Fault {
  return {
    name,
    async strike(world) {
      world.engineFault = reply
      await delay(FAULT_MS)
      world.engineFault = null
    },
  }
}

/** Requests that announce more than they send, and go away. */
async function hangUp(world: World): Promise<void> {
  const { hostname, port } = new URL(world.server.url)
  const head = `POST /v1/files HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 100000\r\n\r\n`
  const part =
    '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n{'
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(head + part, () => socket.resetAndDestroy())
      })
      socket.once('error', () => resolve())
      socket.once('close', () => resolve())
    })
  await Promise.all(Array.from({ length: HANG_UPS }, one))
}
