/** The way to the server, a step at a time: its name, its port, its certificate. */
import { lookup } from 'node:dns/promises'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { messageOf, systemCodeOf } from '../../lib/errors.ts'
import { type Check, type Finding, failed, ok, skipped, warned } from './checks.ts'

/** Guess: an answer that takes longer is none for a person who waits. */
export const STEP_MS_MAX = 5_000
/** Guess: time enough to have a certificate renewed. */
const CERTIFICATE_MS_MIN = 7 * 24 * 3_600_000

export function networkChecks({ baseUrl, hasKey }: { baseUrl: string; hasKey: boolean }): Check[] {
  const url = new URL(baseUrl)
  const place = {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : url.port),
  }
  return [
    { name: 'dns', needs: ['config'], run: () => checkName(place.host) },
    { name: 'tcp', needs: ['dns'], run: () => checkPort(place) },
    {
      name: 'tls',
      needs: ['tcp'],
      run: () => (url.protocol === 'https:' ? checkCertificate(place) : withoutTls(place.host, hasKey)),
    },
  ]
}

type Place = { host: string; port: number }

async function checkName(host: string): Promise<Finding> {
  if (isIP(host) !== 0) return skipped(`${host} is an address`)
  try {
    const found = await within(lookup(host, { all: true }))
    return ok(`${host} is ${found.map(({ address }) => address).join(', ')}`)
  } catch (thrown) {
    return failed(
      `the name ${host} is not known here (${reasonOf(thrown)})`,
      'Mend the name, where `dw config show --origin` says it comes from, or the DNS of this machine.',
    )
  }
}

async function checkPort({ host, port }: Place): Promise<Finding> {
  try {
    await opened(connect({ host, port }), 'connect')
    return ok(`port ${port} is open`)
  } catch (thrown) {
    const isRefused = systemCodeOf(thrown) === 'ECONNREFUSED'
    return failed(
      isRefused
        ? `nothing listens on ${host}, port ${port}`
        : `no connection to ${host}, port ${port} (${reasonOf(thrown)})`,
      isLocal(host)
        ? `dw serve --port ${port}`
        : 'Start the server there, or mend the address or the firewall: `dw config show --origin` says where the address comes from.',
    )
  }
}

async function checkCertificate({ host, port }: Place): Promise<Finding> {
  try {
    const options = { host, port, ...(isIP(host) === 0 ? { servername: host } : {}) }
    const validTo = await opened(connectTls(options), 'secureConnect', (socket) =>
      Date.parse(socket.getPeerCertificate().valid_to),
    )
    const leftMs = validTo - Date.now()
    return leftMs < CERTIFICATE_MS_MIN
      ? warned(
          `the certificate ends on ${new Date(validTo).toISOString().slice(0, 10)}`,
          'Renew the certificate of the server.',
        )
      : ok('the certificate holds')
  } catch (thrown) {
    const code = systemCodeOf(thrown) ?? ''
    return failed(`the TLS handshake failed: ${messageOf(thrown)}`, certificateFixes[code] ?? TRUST_FIX)
  }
}

const TRUST_FIX = 'If you trust its authority: NODE_EXTRA_CA_CERTS=/path/to/authority.pem dw doctor'
const certificateFixes: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'Renew the certificate of the server.',
  CERT_NOT_YET_VALID: 'Set the clock of this machine, or wait until the certificate holds.',
  ERR_TLS_CERT_ALTNAME_INVALID: 'Use a name that stands in the certificate: dw login https://NAME',
  ERR_SSL_WRONG_VERSION_NUMBER:
    'The server speaks plain HTTP there: use http:// in its address, or another port.',
}

function withoutTls(host: string, hasKey: boolean): Finding {
  return hasKey && !isLocal(host)
    ? warned(
        'the key travels unencrypted over plain HTTP',
        'Put TLS in front of the server, and use its https:// address.',
      )
    : skipped('plain HTTP')
}

function isLocal(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

/** Waits for the event, looks, and closes. */
function opened<S extends Socket | TLSSocket, T>(
  socket: S,
  event: string,
  look?: (socket: S) => T,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    socket.setTimeout(STEP_MS_MAX, () => socket.destroy(new Error(`no answer in ${STEP_MS_MAX / 1000} s`)))
    socket.once('error', reject)
    socket.once(event, () => {
      // Without a look the caller takes nothing.
      resolve(look?.(socket) as T)
      socket.destroy()
    })
  })
}

/** A look-up cannot be called back: its late end is let go of. */
async function within<T>(work: Promise<T>): Promise<T> {
  const timeout = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => timeout.reject(new Error(`no answer in ${STEP_MS_MAX / 1000} s`)),
    STEP_MS_MAX,
  )
  try {
    return await Promise.race([work, timeout.promise])
  } finally {
    clearTimeout(timer)
  }
}

function reasonOf(thrown: unknown): string {
  return systemCodeOf(thrown) ?? messageOf(thrown)
}
