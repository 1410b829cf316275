/** One line of the table. */
export type Figure = { name: string; value: string; target: string; isMet: boolean }

/** @param most in the unit that `say` writes */
export function timeFigure(name: string, ms: number, most: number): Figure {
  return {
    name,
    value: `${Math.round(ms).toLocaleString('en')} ms`,
    target: `≤ ${most.toLocaleString('en')} ms`,
    isMet: ms <= most,
  }
}
