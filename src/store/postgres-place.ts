/** The address of a PostgreSQL database, as it may be shown: it often carries a password. */

const SCHEME = /^postgres(ql)?:$/

/** Whether `text` names a PostgreSQL database. */
export function isPostgresUrl(text: string): boolean {
  return SCHEME.test(URL.parse(text)?.protocol ?? '')
}

/** Without password and parameters, which may hold secrets too. */
export function printablePlace(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null) return 'the PostgreSQL database'
  const user = parsed.username === '' ? '' : `${parsed.username}@`
  const host = parsed.host === '' ? (parsed.searchParams.get('host') ?? '') : parsed.host
  return `postgres://${user}${host}${parsed.pathname}`
}
