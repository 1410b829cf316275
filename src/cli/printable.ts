/** What a terminal may be shown of words that come from a server, a model or a file. */

/** The only commands to a terminal that our own words hold: bold, and its end. */
const OWN_COMMANDS = ['[1m', '[22m'] as const
/** Control characters, and those that turn the direction of the text around. */
const COMMANDING = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu
const SHOWN_INSTEAD = '\ufffd'

/** The text without whatever would command a terminal: move its cursor, write its title or clipboard, hide or turn words around. */
export function printable(text: string): string {
  return text.replaceAll(COMMANDING, (character, at: number) => {
    if (character === '\n' || character === '\t') return character
    if (character === '\r' && text[at + 1] === '\n') return ''
    const isOwn = character === '\u001b' && OWN_COMMANDS.some((command) => text.startsWith(command, at + 1))
    return isOwn ? character : SHOWN_INSTEAD
  })
}

/** JSON of one line. The same value, also for a terminal that obeys the control characters which JSON leaves as they are. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    COMMANDING,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
