/** Samples of a picture, row by row, the channels of a pixel side by side. */
export type Pixels = {
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly data: ArrayLike<number>
  /** Bits that a sample has beyond eight. @default 0 */
  readonly shift?: number
}

/** Longest sides that are tried, the first that is small enough counts. */
export const previewSides = [768, 512, 384, 256] as const

/** The factor by which a picture is made smaller so that its longer side is at most this. */
export const factorFor = ({ width, height }: Pick<Pixels, 'width' | 'height'>, side: number): number =>
  Math.ceil(Math.max(width, height) / side)

/** The mean of each square of pixels. */
export function shrink({ width, height, channels, data, shift = 0 }: Pixels, factor: number) {
  const small = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) }
  const shrunk = new Uint8Array(small.width * small.height * channels)
  for (let y = 0; y < small.height; y++)
    for (let x = 0; x < small.width; x++)
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0
        let count = 0
        for (let row = y * factor; row < Math.min((y + 1) * factor, height); row++)
          for (let column = x * factor; column < Math.min((x + 1) * factor, width); column++) {
            sum += (data[(row * width + column) * channels + channel] ?? 0) >> shift
            count += 1
          }
        shrunk[(y * small.width + x) * channels + channel] = Math.round(sum / count)
      }
  return { ...small, data: shrunk }
}
