/**
 * Loads the images that request lines name: files inside one folder, and addresses. Whatever a name or a server says, only what begins
 * as an image does is taken, so that neither a private file nor an error page ends up in a request.
 */
import { readFile, realpath, stat } from 'node:fs/promises'
import { isAbsolute, relative, resolve, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { IMAGE_BYTES_MAX, IMAGE_CACHE_BYTES_MAX, IMAGE_MS_MAX } from '../../domain/limits.ts'
import { imageTypeOf, type LoadImage } from '../../jsonl/tools/images.ts'
import { messageOf, RefusedError, systemCodeOf } from '../../lib/errors.ts'
import { formatBytes } from '../format.ts'

/** @param folder in which local files must lie; their paths are relative to it */
export function createImageLoader(folder: string, signal: AbortSignal): LoadImage {
  /** Of images used last, the oldest first. */
  const cache = new Map<string, string>()
  let cachedBytes = 0
  const keep = (reference: string, url: string): void => {
    if (cache.has(reference)) return
    cache.set(reference, url)
    cachedBytes += url.length
    for (const [oldest, { length }] of cache) {
      if (cachedBytes <= IMAGE_CACHE_BYTES_MAX) break
      cache.delete(oldest)
      cachedBytes -= length
    }
  }
  return async (reference) => {
    const known = cache.get(reference)
    if (known !== undefined) return known
    const isRemote = /^https?:\/\//i.test(reference)
    const bytes = isRemote ? await download(reference, signal) : await readLocal(reference, folder)
    const type = imageTypeOf(bytes)
    if (type === null) throw unreadable(reference, 'what is there is no image')
    const url = `data:${type};base64,${bytes.toString('base64')}`
    keep(reference, url)
    return url
  }
}

async function readLocal(reference: string, folder: string): Promise<Buffer> {
  try {
    const path = /^file:/i.test(reference) ? fileURLToPath(reference) : resolve(folder, reference)
    const [inside, real] = [await realpath(folder), await realpath(path)]
    const way = relative(inside, real)
    if (way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way))
      throw unreadable(reference, `it lies outside of ${folder}; name another folder with --image-folder`)
    const { size } = await stat(real)
    if (size > IMAGE_BYTES_MAX) throw tooLarge(reference)
    return await readFile(real)
  } catch (thrown) {
    if (thrown instanceof RefusedError) throw thrown
    const why = systemCodeOf(thrown) === 'ENOENT' ? 'there is no such file' : messageOf(thrown)
    throw unreadable(reference, why)
  }
}

async function download(reference: string, signal: AbortSignal): Promise<Buffer> {
  try {
    const response = await fetch(reference, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(IMAGE_MS_MAX)]),
    })
    if (!response.ok) throw unreadable(reference, `the server answered ${response.status}`)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.byteLength
      if (bytes > IMAGE_BYTES_MAX) throw tooLarge(reference)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } catch (thrown) {
    signal.throwIfAborted()
    if (thrown instanceof RefusedError) throw thrown
    const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown
    throw unreadable(reference, messageOf(cause))
  }
}

/** Guess: enough to recognise a path. */
const REFERENCE_CHARACTERS_MAX = 100

function unreadable(reference: string, why: string): RefusedError {
  const shown = reference.slice(0, REFERENCE_CHARACTERS_MAX)
  return new RefusedError('image_unreadable', `The image '${shown}' cannot be read: ${why}.`)
}

function tooLarge(reference: string): RefusedError {
  return unreadable(reference, `it is larger than ${formatBytes(IMAGE_BYTES_MAX)}`)
}
