/** The images of a request: parts of chat messages, or of a Responses input. */
import { imageSizeOf } from './image-size.ts'
import type { ImageFacts } from './image-tokens.ts'
import { isObject, type JsonObject } from './prompt-bytes.ts'

/** @param most so many are looked at; all are counted */
export function imagesOf(body: JsonObject, most: number): { first: ImageFacts[]; total: number } {
  const images = { first: [] as ImageFacts[], total: 0 }
  for (const items of [body.messages, body.input]) {
    if (!Array.isArray(items)) continue
    for (const item of items) {
      if (!isObject(item) || !Array.isArray(item.content)) continue
      for (const part of item.content) {
        const image = isObject(part) ? addressOf(part) : null
        if (image === null) continue
        images.total += 1
        if (images.first.length < most)
          images.first.push({ size: imageSizeOf(image.url), isLowDetail: image.detail === 'low' })
      }
    }
  }
  return images
}

function addressOf(part: JsonObject): { url: string; detail: unknown } | null {
  const { image_url: image, detail } = part
  if (typeof image === 'string') return { url: image, detail }
  if (isObject(image) && typeof image.url === 'string') return { url: image.url, detail: image.detail }
  return null
}
