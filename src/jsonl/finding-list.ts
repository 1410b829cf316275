import type { Finding } from '../domain/batch.ts'

/** Counts every finding and keeps those of the first lines, in flat memory. */
export type FindingList = {
  add(finding: Finding): void
  readonly total: number
  /** In the order of the file; findings about the file as a whole come first. */
  kept(): Finding[]
}

export function createFindingList(keptMax: number): FindingList {
  let total = 0
  let list: Finding[] = []
  // Lines come in order, except that duplicates are known only at the end. So the list may grow to twice its bound before it is cut.
  const cut = (): void => {
    list = list.sort((left, right) => (left.lineNumber ?? 0) - (right.lineNumber ?? 0)).slice(0, keptMax)
  }
  return {
    add(finding) {
      total += 1
      if (list.length >= 2 * keptMax) cut()
      list.push(finding)
    },
    get total() {
      return total
    },
    kept() {
      cut()
      return list
    },
  }
}
