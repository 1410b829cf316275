/** What the exit code of `dw` says. One table: `dw help exit-codes` prints it, commands return from it. */

export const exitCodes = {
  ok: { code: 0, says: 'done, every request accounted for and successful' },
  unexpected: { code: 1, says: 'unexpected error (a bug, a full disk)' },
  usage: {
    code: 2,
    says: 'usage: a wrong flag, a missing confirmation, or a question nobody is there to answer',
  },
  failures: {
    code: 3,
    says: 'finished, but some requests failed or are missing (relax with --allow-failures); of `dw files diff`: the files differ',
  },
  notAllowed: { code: 4, says: 'not authenticated or not allowed' },
  notFound: { code: 5, says: 'no such object' },
  invalidInput: { code: 6, says: 'input invalid; nothing was submitted' },
  notCompleted: { code: 7, says: 'batch ended failed, expired or cancelled (what was answered is kept)' },
  stillRunning: { code: 8, says: 'still running: results are partial, or the wait timed out' },
  unreachable: { code: 9, says: 'server unreachable after retries' },
  quota: { code: 10, says: 'quota, rate limit, or more than --max-cost' },
  interrupted: { code: 130, says: 'interrupted; batches keep running unless told otherwise' },
  terminated: { code: 143, says: 'terminated' },
} as const satisfies Record<string, { code: number; says: string }>

export type ExitName = keyof typeof exitCodes

/** Any command can end with these. */
export const alwaysExits: readonly ExitName[] = ['ok', 'unexpected', 'usage', 'interrupted', 'terminated']

/** Beyond them, any command that asks a server. */
export const serverExits: readonly ExitName[] = ['notAllowed', 'notFound', 'unreachable', 'quota']

export function exitCode(name: ExitName): number {
  return exitCodes[name].code
}
