/** Style as a test: lengths, names and words that the formatter and the linter do not know. Prints every breach, exits 1 if there is one. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

const FILE_LINES_MAX = 400
// The formatter breaks code at 110; what remains longer are messages, which are kept in one piece so that they can be found.
const LINE_CHARACTERS_MAX = 220

const vagueNames = /^(utils?|helpers?|common|manager|misc|shared)\b/
const words: { pattern: RegExp; says: string; where: RegExp }[] = [
  { pattern: /\bTODO\b|\bFIXME\b|\bXXX\b/, says: 'unfinished mark', where: /\.(ts|js|md)$/ },
  { pattern: /\b(it|test|describe)\.(only|todo)\b/, says: 'a test that hides others', where: /\.ts$/ },
  {
    pattern: /(^|[\s'"(=])\/(work|root|farm)\//,
    says: 'absolute path of one machine',
    where: /\.(ts|js|md|json|yaml|toml)$/,
  },
  { pattern: /registry\.npmjs|deb\.debian|pypi\.org/, says: 'name of a registry host', where: /./ },
]

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => /\.(ts|js|md|json|yaml|toml)$/.test(file) && file !== 'tools/tidy.ts')

const breaches = files.flatMap((file) => {
  const text = readFileSync(file, 'utf8')
  const lines = text.split('\n')
  const found: string[] = []
  const isCode = file.endsWith('.ts') || file.endsWith('.js')
  const isTest = file.endsWith('.test.ts') || file.endsWith('-conformance.ts')
  if (isCode && !isTest && lines.length - 1 > FILE_LINES_MAX)
    found.push(`${file}: ${lines.length - 1} lines, at most ${FILE_LINES_MAX}`)
  if (vagueNames.test(basename(file))) found.push(`${file}: a vague name`)
  if (isCode && /[A-Z_]/.test(basename(file))) found.push(`${file}: file names are kebab-case`)
  lines.forEach((line, index) => {
    if (isCode && line.length > LINE_CHARACTERS_MAX)
      found.push(`${file}:${index + 1}: ${line.length} characters`)
    for (const word of words)
      if (word.where.test(file) && word.pattern.test(line)) found.push(`${file}:${index + 1}: ${word.says}`)
  })
  return found
})

for (const breach of breaches) console.log(breach)
console.log(breaches.length === 0 ? `tidy: ${files.length} files` : `tidy: ${breaches.length} breaches`)
process.exitCode = breaches.length === 0 ? 0 : 1
