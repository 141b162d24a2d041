import { inflateSync } from 'node:zlib'
import { maxImageBytes } from './output-kind.ts'

/** Bytes of a file that is made smaller; larger ones are linked only. */
export const maxPreviewedBytes = 24 * 1024 * 1024
const maxPixels = 2048 * 2048
const sides = [768, 512, 384, 256] as const
const signatureBytes = 8
// Everything else can be left out without changing what is seen, and some of it unpacks to any size.
const kept = new Set(['IHDR', 'PLTE', 'tRNS', 'IDAT', 'IEND'])

type Chunk = { readonly name: string; readonly bytes: Buffer; readonly data: Buffer }

/**
 * A smaller picture of a PNG that is too large to be shown, or undefined when it cannot be had: an image with more pixels, one that
 * unpacks to more than its size says, a palette, or bytes that are no PNG after all.
 */
export async function previewPng(png: Uint8Array): Promise<Uint8Array | undefined> {
  const chunks = readChunks(Buffer.from(png.buffer, png.byteOffset, png.byteLength))
  const [head] = chunks
  if (head?.name !== 'IHDR' || head.data.length !== 13) return undefined
  const width = head.data.readUInt32BE(0)
  const height = head.data.readUInt32BE(4)
  if (width === 0 || height === 0 || width * height > maxPixels) return undefined
  try {
    // Two bytes a channel, four channels, and a filter byte a row: no honest image unpacks to more.
    const most = (width * 8 + 1) * height + 1024
    inflateSync(Buffer.concat(chunks.filter(({ name }) => name === 'IDAT').map(({ data }) => data)), {
      maxOutputLength: most,
    })
    // Loaded only when an image is too large.
    const { decode, encode } = await import('fast-png')
    const image = decode(Buffer.concat([png.subarray(0, signatureBytes), ...chunks.map(({ bytes }) => bytes)]))
    if (image.palette || (image.depth !== 8 && image.depth !== 16)) return undefined
    const { channels } = image
    const shift = image.depth === 16 ? 8 : 0
    for (const side of sides) {
      const factor = Math.ceil(Math.max(width, height) / side)
      const small = shrink({ width, height, channels, data: image.data, shift }, factor)
      const bytes = encode({ ...small, channels, depth: 8 })
      if (bytes.length <= maxImageBytes) return bytes
    }
    return undefined
  } catch {
    // A stranger's file may be broken in any way; it is linked then, as any other file.
    return undefined
  }
}

function readChunks(png: Buffer): readonly Chunk[] {
  const chunks: Chunk[] = []
  for (let at = signatureBytes; at + 12 <= png.length; ) {
    const length = png.readUInt32BE(at)
    const end = at + 12 + length
    if (end > png.length) break
    const name = png.toString('latin1', at + 4, at + 8)
    if (kept.has(name)) chunks.push({ name, bytes: png.subarray(at, end), data: png.subarray(at + 8, end - 4) })
    at = end
  }
  return chunks
}

type Pixels = {
  readonly width: number
  readonly height: number
  readonly channels: number
  readonly data: ArrayLike<number>
  /** Bits that a sample has beyond eight. */
  readonly shift: number
}

/** The mean of each square of pixels. */
function shrink({ width, height, channels, data, shift }: Pixels, factor: number) {
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
