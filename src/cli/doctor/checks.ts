/** What a check is, and how checks follow each other: one that cannot be made because of another's failure is skipped, not failed. */

export type CheckName =
  | 'config'
  | 'node'
  | 'dns'
  | 'tcp'
  | 'tls'
  | 'http'
  | 'auth'
  | 'version'
  | 'clock'
  | 'server'
  | 'disk'
  | 'upstreams'
  | 'data-folder'

export type Status = 'ok' | 'warn' | 'fail' | 'skipped' | 'unknown'

export type Finding = { status: Status; message: string; fix: string | null }

export type Check = {
  name: CheckName
  /** Without these it cannot be made. */
  needs: readonly CheckName[]
  run: () => Finding | Promise<Finding>
}

export type CheckResult = { check: CheckName } & Finding

/** In their order, each as soon as it is known. */
export async function* runChecks(checks: readonly Check[]): AsyncGenerator<CheckResult> {
  const blocked = new Set<CheckName>()
  for (const { name, needs, run } of checks) {
    const missing = needs.find((need) => blocked.has(need))
    const finding = missing === undefined ? await run() : skipped(`needs ${missing}`)
    if (missing !== undefined || finding.status === 'fail') blocked.add(name)
    yield { check: name, ...finding }
  }
}

export function ok(message: string): Finding {
  return { status: 'ok', message, fix: null }
}

export function skipped(message: string): Finding {
  return { status: 'skipped', message, fix: null }
}

export function unknown(message: string, fix: string | null = null): Finding {
  return { status: 'unknown', message, fix }
}

export function warned(message: string, fix: string): Finding {
  return { status: 'warn', message, fix }
}

export function failed(message: string, fix: string): Finding {
  return { status: 'fail', message, fix }
}
