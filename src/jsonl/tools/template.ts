/** Prompts with holes: `Summarise: {{text}}`. Pure. */

export type Template = {
  /** Names of the holes, each once. */
  names: readonly string[]
  fill(fieldOf: (name: string) => string): string
}

const HOLE = /\{\{\s*([^{}]+?)\s*\}\}/

export function parseTemplate(text: string): Template {
  // Split by the hole's name: texts at even places, names at odd ones.
  const parts = text.split(HOLE)
  const names = [...new Set(parts.filter((_, place) => place % 2 === 1))]
  return {
    names,
    fill: (fieldOf) => parts.map((part, place) => (place % 2 === 1 ? fieldOf(part) : part)).join(''),
  }
}
