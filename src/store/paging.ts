/** Lists page by (created_at, id), both of which never change, so pages neither skip nor repeat what stays in the list. */
import { RefusedError } from '../lib/errors.ts'
import type { RowPage } from './database.ts'
import type { Paged } from './store.ts'

/** Where a page ended. */
export type Place = { createdAt: number; id: string }

export function unknownAfter(after: string): RefusedError {
  return new RefusedError(
    'invalid_value',
    `Invalid 'after': there is no object with id '${after}' in this list.`,
    {
      param: 'after',
    },
  )
}

/** @param page read with a limit of one more than `limit`, which tells whether there is a next page. */
export function paged<R, T>(page: RowPage<R>, limit: number, itemOf: (row: R) => T): Paged<T> {
  return { items: page.rows.slice(0, limit).map(itemOf), hasMore: page.isCut || page.rows.length > limit }
}
