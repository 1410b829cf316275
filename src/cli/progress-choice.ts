/** How progress is told: bars, lines, events, nothing; and beside that the events of --events-file. */
import type { CliEvent } from './events.ts'
import type { Output } from './output.ts'
import { printable } from './printable.ts'
import { createBars, createLines, type Display, type DisplayOptions, noDisplay } from './progress-display.ts'
import { createEvents, type ToldEvents } from './progress-events.ts'

export type ProgressOutput = Pick<Output, 'progress' | 'isColoured' | 'stderr' | 'event'>

/** A command may show one display after the other: what its reader was told of is not told again. */
const toldBy = new WeakMap<ProgressOutput, ToldEvents>()

export function displayFor(output: ProgressOutput, options: DisplayOptions): Display {
  const shown = shownFor(output, options)
  const told = toldBy.get(output) ?? new Map()
  toldBy.set(output, told)
  const emit = (event: CliEvent): void => output.event(event)
  const events = createEvents(emit, { ...options, now: Date.now, told })
  return {
    changed() {
      shown.changed()
      events.changed()
    },
    say: (text) => shown.say(text),
    end() {
      shown.end()
      events.end()
    },
  }
}

function shownFor({ progress, isColoured, stderr }: ProgressOutput, options: DisplayOptions): Display {
  if (progress === 'bar') return createBars(stderr, { ...options, isColoured })
  if (progress !== 'lines') return noDisplay
  const write = (line: string): void => void stderr.write(`${printable(line)}\n`)
  return createLines(write, { ...options, now: Date.now })
}
