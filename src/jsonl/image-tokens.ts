/**
 * Prompt tokens of an image, by the formulas that OpenAI documents for its models ("Images and vision", calculating costs). Other
 * models have no formula here: what their images take is learned from their usage.
 */
import type { ImageSize } from './image-size.ts'

export type ImageFacts = { size: ImageSize | null; isLowDetail: boolean }

/** Tiles of 512 after two reductions, or patches of 32 up to a number. */
type Formula = { base: number; tile: number } | { perPatch: number }

/** The first that fits: longer names before shorter ones. */
const formulas: readonly [RegExp, Formula][] = [
  [/^gpt-5[\w.]*-mini/, { perPatch: 1.62 }],
  [/^gpt-5[\w.]*-nano/, { perPatch: 2.46 }],
  [/^gpt-4\.1-mini/, { perPatch: 1.62 }],
  [/^gpt-4\.1-nano/, { perPatch: 2.46 }],
  [/^o4-mini/, { perPatch: 1.72 }],
  [/^gpt-4o-mini/, { base: 2_833, tile: 5_667 }],
  [/^gpt-5/, { base: 70, tile: 140 }],
  [/^(gpt-4o|gpt-4\.1|gpt-4\.5|chatgpt-4o|gpt-4-turbo)/, { base: 85, tile: 170 }],
  [/^(o1|o3)/, { base: 75, tile: 150 }],
]

const PATCH_PIXELS = 32
const PATCHES_MAX = 1_536
const TILE_PIXELS = 512
const LONG_SIDE_MAX = 2_048
const SHORT_SIDE_MAX = 768
/** Guess: an image of which only the address is known. */
const SIZE_UNKNOWN: ImageSize = { width: 1_024, height: 1_024 }

/** @param model without the name of its maker @returns null when no formula is known for it */
export function imageTokens(model: string, image: ImageFacts): number | null {
  const formula = formulas.find(([pattern]) => pattern.test(model))?.[1]
  if (formula === undefined) return null
  const size = image.size ?? SIZE_UNKNOWN
  if ('perPatch' in formula) return Math.ceil(patchesOf(size) * formula.perPatch)
  return image.isLowDetail ? formula.base : formula.base + formula.tile * tilesOf(size)
}

function tilesOf({ width, height }: ImageSize): number {
  const fits = Math.min(1, LONG_SIDE_MAX / Math.max(width, height))
  const short = Math.min(width, height) * fits
  const scale = fits * Math.min(1, SHORT_SIDE_MAX / short)
  return tilesAlong(width * scale) * tilesAlong(height * scale)
}

/** A scaled side may miss a whole number by a rounding. */
function tilesAlong(pixels: number): number {
  return Math.ceil(Math.round(pixels) / TILE_PIXELS)
}

/** Scaled down so that the patches are few enough, and so that a whole number of them fits the shorter way. */
function patchesOf({ width, height }: ImageSize): number {
  const along = (pixels: number): number => Math.ceil(pixels / PATCH_PIXELS)
  const whole = along(width) * along(height)
  if (whole <= PATCHES_MAX) return whole
  const scale = Math.sqrt((PATCH_PIXELS * PATCH_PIXELS * PATCHES_MAX) / (width * height))
  const [across, down] = [(width * scale) / PATCH_PIXELS, (height * scale) / PATCH_PIXELS]
  const fitting = scale * Math.min(Math.floor(across) / across, Math.floor(down) / down)
  return Math.min(
    PATCHES_MAX,
    along(Math.floor(width * fitting + 0.001)) * along(Math.floor(height * fitting + 0.001)),
  )
}
