/** Something that takes input from outside, with what must hold whatever comes. */
export type Target = {
  name: string
  seeds: readonly Buffer[]
  /** @returns what does not hold, or null */
  run(input: Buffer): string | null | Promise<string | null>
  stop?(): Promise<void>
}
