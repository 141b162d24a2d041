import { inflateSync } from 'node:zlib'
import { maxImageBytes } from './output-kind.ts'
import { factorFor, previewSides, shrink } from './shrink.ts'

const maxPixels = 2048 * 2048
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
  // The decoder would believe the last one, and what is checked here is the first.
  if (chunks.filter(({ name }) => name === 'IHDR').length > 1) return undefined
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
    for (const side of previewSides) {
      const small = shrink({ width, height, channels, data: image.data, shift }, factorFor({ width, height }, side))
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
