import { execFileSync } from 'node:child_process'

/** The commit of the checkout in this folder, with `+changes` when its sources differ from it; `unknown` outside a checkout. */
export function commitOf(folder: string): string {
  const git = (...words: string[]): string =>
    execFileSync('git', words, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  try {
    const isChanged = git('status', '--porcelain', '--', 'src') !== ''
    return git('rev-parse', '--short=12', 'HEAD') + (isChanged ? '+changes' : '')
  } catch {
    // Not a checkout, or one without a commit: a figure is still worth keeping.
    return 'unknown'
  }
}
