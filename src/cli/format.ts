/** How numbers, times and sizes are written for people. Pure; machines get the plain values. */

const SECOND_MS = 1_000
const MINUTE_MS = 60 * SECOND_MS
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const BYTE_UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB'] as const

/** `6120` → `6,120`. */
export function formatCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}

/** `count` and the noun in the right number: `1 request`, `2 requests`. */
export function formatNumber(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`
}

/** Three significant digits at most: `0.4`, `12`, `118`, `1.2k`, `210k`, `3.4M`. */
export function formatShort(value: number): string {
  if (value >= 999_500) return `${trimmed(value / 1_000_000)}M`
  if (value >= 999.5) return `${trimmed(value / 1_000)}k`
  return trimmed(value)
}

function trimmed(value: number): string {
  if (value >= 9.95) return Math.round(value).toString()
  // A rate that is not zero never reads as zero.
  const digits = value > 0 && value < 0.1 ? 2 : 1
  return Math.max(value, value > 0 ? 0.01 : 0)
    .toFixed(digits)
    .replace(/\.0+$/, '')
}

/** The two largest units: `33s`, `4m12s`, `23h58m`, `3d4h`. Below a second `0s`, or milliseconds where asked for. */
export function formatDuration(durationMs: number): string {
  const ms = Math.max(0, durationMs)
  if (ms >= DAY_MS) return pair(ms, DAY_MS, 'd', HOUR_MS, 'h')
  if (ms >= HOUR_MS) return pair(ms, HOUR_MS, 'h', MINUTE_MS, 'm')
  if (ms >= MINUTE_MS) return pair(ms, MINUTE_MS, 'm', SECOND_MS, 's')
  return `${Math.floor(ms / SECOND_MS)}s`
}

function pair(ms: number, large: number, largeUnit: string, small: number, smallUnit: string): string {
  const rest = Math.floor((ms % large) / small)
  const whole = `${Math.floor(ms / large)}${largeUnit}`
  return rest === 0 ? whole : `${whole}${rest}${smallUnit}`
}

/** A latency: `0.4 ms`, `950 ms`, `1.24 s`, `2m5s`. */
export function formatLatency(ms: number): string {
  if (ms < 1_000) return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`
  if (ms < MINUTE_MS) return `${(ms / 1_000).toFixed(ms < 10_000 ? 2 : 1)} s`
  return formatDuration(ms)
}

/** 1024-based with one decimal: `512 B`, `1.5 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit]}`
}

/** Local time of day, `14:02:10`. */
export function formatTimeOfDay(at: number): string {
  const date = new Date(at)
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => part.toString().padStart(2, '0'))
    .join(':')
}

/** `2026-01-31 14:02:10 UTC`. */
export function formatInstant(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** Rounded down, so that nothing unfinished ever reads 100 %. A total of 0 is 0 %. */
export function percentOf(part: number, total: number): number {
  return total <= 0 ? 0 : Math.min(100, Math.floor((part / total) * 100))
}

/** Text of a server or a file on one line of a terminal: control characters would move the cursor or change its colours. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
}

const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\uff01-\uff60]/u

/** Columns that the text takes on a terminal. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text.replace(/\p{M}/gu, '')) width += WIDE.test(character) ? 2 : 1
  return width
}

/** Cuts the text to that many columns; what is left out shows as `…`. */
export function cutTo(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let width = 0
  let kept = ''
  for (const character of text) {
    width += widthOf(character)
    if (width > columns - 1) break
    kept += character
  }
  return columns <= 0 ? '' : `${kept}…`
}

/** `a, b and c`. */
export function formatList(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}

/** A word for a shell: quoted where it holds more than plain characters. */
export function shellWord(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
