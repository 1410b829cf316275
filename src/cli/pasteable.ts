/** Commands to paste: they name the server where this one was told it by a flag, because nothing else would. */
import { shellWord } from './format.ts'

export function pasteable(words: readonly string[]): string {
  return ['dw', ...words, ...targetWords(process.argv.slice(2))].map(shellWord).join(' ')
}

const targetFlags: readonly string[] = ['--server', '--profile', '--account']

/** Of these words the flags that name the server. */
export function targetWords(given: readonly string[]): string[] {
  return given.flatMap((word, place) => {
    if (targetFlags.includes(word)) return given.slice(place, place + 2)
    return targetFlags.some((flag) => word.startsWith(`${flag}=`)) ? [word] : []
  })
}
