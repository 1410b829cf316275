/** Reads options in the form commands want them. */
import { usageError } from '../cli-error.ts'
import type { CommandInput } from '../command.ts'

export function textOption(input: CommandInput, name: string): string | null {
  const value = input.options[name]
  return typeof value === 'string' ? value : null
}

/** Values of an option that may be given several times. */
export function listOption(input: CommandInput, name: string): readonly string[] {
  const value = input.options[name]
  return Array.isArray(value) ? value : []
}

export function flagOption(input: CommandInput, name: string): boolean {
  return input.options[name] === true
}

export function integerOption(
  input: CommandInput,
  name: string,
  bounds: { min: number; max: number },
): number | null {
  const text = textOption(input, name)
  if (text === null) return null
  const value = Number(text)
  if (!/^-?\d+$/.test(text) || value < bounds.min || value > bounds.max) {
    throw usageError(`--${kebab(name)} takes an integer from ${bounds.min} to ${bounds.max}, not '${text}'.`)
  }
  return value
}

export function argument(input: CommandInput, place: number): string {
  return input.arguments[place] ?? ''
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
