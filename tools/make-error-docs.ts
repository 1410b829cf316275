/** Writes `docs/errors/`: a page for each code that an error of `dw` can carry, and the list of them. Made from src/cli/error-codes.ts. */
import { globSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { docsOfError, type ErrorEntry, errorCodes } from '../src/cli/error-codes.ts'
import { againWords } from '../src/cli/error-text.ts'
import { exitCodes } from '../src/cli/exit-codes.ts'

const root = join(import.meta.dirname, '..')
const LIST_PATH = 'docs/errors/README.md'

/** Everything that is made, by its path within the project. */
export function errorPages(): Map<string, string> {
  const codes = Object.keys(errorCodes).toSorted()
  return new Map([
    [LIST_PATH, listOf(codes)],
    ...codes.map((code): [string, string] => [
      docsOfError(code),
      pageOf(code, errorCodes[code] as ErrorEntry),
    ]),
  ])
}

/** Pages that are there, by their path within the project. */
export function pagesThere(): string[] {
  return globSync('docs/errors/*.md', { cwd: root })
}

function pageOf(code: string, entry: ErrorEntry): string {
  const { cause, fix, exit } = entry
  const { code: number, says } = exitCodes[exit]
  const sections = { 'What happened': cause, 'What to do': fix, 'Again?': againWords(entry) }
  const text = Object.entries(sections).map(([title, words]) => `## ${title}\n\n${words}\n`)
  return `# ${code}\n\n${text.join('\n')}\nExit code of the command: ${number} (${says}). Some commands answer with a code of their own.\n\nAll codes: [errors](README.md)\n`
}

function listOf(codes: readonly string[]): string {
  const lines = [
    '# Errors',
    '',
    'Made by `node tools/make-error-docs.ts` from the codes of the program. An error looks like this:',
    '',
    '```',
    'error[model_not_found]: what went wrong',
    '  why, or what to do',
    '  try: a command to run next',
    '  request id req_…  docs docs/errors/model_not_found.md',
    '```',
    '',
    'With --json it is one object on one line of standard error (`dw schema error`). `code` is stable: decide by it, never by the words.',
    'A service may have codes of its own; such an error leads to the page of its status. `dw help CODE` shows a page on a terminal.',
    '',
    '| Code | What happened | Exit | Again? |',
    '|---|---|---|---|',
    ...codes.map((code) => rowOf(code, errorCodes[code] as ErrorEntry)),
  ]
  return `${lines.join('\n')}\n`
}

function rowOf(code: string, { cause, exit, isRetryable }: ErrorEntry): string {
  return `| [\`${code}\`](${code}.md) | ${cause} | ${exitCodes[exit].code} | ${isRetryable === true ? 'yes' : 'no'} |`
}

if (import.meta.main) {
  const pages = errorPages()
  for (const path of pagesThere()) if (!pages.has(path)) rmSync(join(root, path))
  for (const [path, text] of pages) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
}
