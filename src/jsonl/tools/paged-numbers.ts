/**
 * An array of whole numbers of any length in bounded memory: pages used of late are held, the others lie in a temporary file. What was
 * never set is 0.
 */
import type { FileHandle } from '../../lib/disk.ts'
import { type Desk, temporaryPath } from './desk.ts'

/** A page is what one read or write moves. */
const PAGE_BYTES = 4096
/** Guess: 32 MiB. Holds the offsets of four million lines; with more, an access at random costs a read and a write of a page. */
const PAGES_HELD_MAX = 8192

const kinds = { u8: Uint8Array, u32: Uint32Array, f64: Float64Array } as const

type Page = {
  number: number
  values: Uint8Array | Uint32Array | Float64Array
  bytes: Uint8Array
  isChanged: boolean
  /** Since the hand passed it. */
  isUsed: boolean
}

export type PagedNumbers = {
  get(index: number): number
  /** @throws TroubleError */
  set(index: number, value: number): void
  /** Leaves nothing behind. */
  close(): void
}

/** @param kind u8 and u32 hold integers of that size, f64 those up to 2^53 */
export function createPagedNumbers(
  desk: Desk,
  kind: keyof typeof kinds,
  options: { pagesHeldMax?: number } = {},
): PagedNumbers {
  const { disk } = desk
  const pagesHeldMax = options.pagesHeldMax ?? PAGES_HELD_MAX
  const pageNumbers = PAGE_BYTES / kinds[kind].BYTES_PER_ELEMENT
  const path = temporaryPath(desk)
  const pages = new Map<number, Page>()
  /** Goes round over the held pages; the first one not used since it came by makes room. */
  const held: Page[] = []
  let hand = 0
  let file: FileHandle | null = null
  let last: Page | null = null

  const makePage = (number: number): Page => {
    const buffer = new ArrayBuffer(PAGE_BYTES)
    const values = new kinds[kind](buffer)
    const page = { number, values, bytes: new Uint8Array(buffer), isChanged: false, isUsed: true }
    held.push(page)
    return page
  }
  const takeOver = (number: number): Page => {
    for (;;) {
      const page = held[hand] as Page // The hand stays inside the held pages, of which there are some.
      hand = (hand + 1) % held.length
      if (page.isUsed) {
        page.isUsed = false
        continue
      }
      pages.delete(page.number)
      if (page.isChanged) {
        file ??= disk.open(path, 'create')
        disk.write(file, page.bytes, page.number * PAGE_BYTES)
      }
      page.number = number
      page.isChanged = false
      page.bytes.fill(0)
      // Behind the end of the file, and in its holes, everything is 0.
      if (file !== null) disk.read(file, page.bytes, number * PAGE_BYTES)
      return page
    }
  }
  const pageOf = (index: number): Page => {
    const number = Math.floor(index / pageNumbers)
    if (last?.number === number) return last
    let page = pages.get(number)
    if (page === undefined) {
      page = held.length < pagesHeldMax ? makePage(number) : takeOver(number)
      pages.set(number, page)
    }
    page.isUsed = true
    last = page
    return page
  }
  return {
    // Inside the page by the remainder.
    get: (index) => pageOf(index).values[index % pageNumbers] as number,
    set(index, value) {
      const page = pageOf(index)
      page.values[index % pageNumbers] = value
      page.isChanged = true
    },
    close() {
      pages.clear()
      held.length = 0
      last = null
      if (file === null) return
      disk.close(file)
      disk.remove(path)
      file = null
    },
  }
}
