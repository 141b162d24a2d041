import { maxImageBytes } from './output-kind.ts'
import { type codecFiles, readCodec } from './read-codec.ts'
import { factorFor, previewSides, shrink } from './shrink.ts'

/** Pixels of a picture that is made smaller; each takes four bytes twice. */
const maxPixels = 4096 * 4096
/** Passes over all pixels that a JPEG may ask for; cameras and encoders make about ten. A pass can be written in a dozen bytes. */
const maxScans = 32
const startOfScan = Buffer.from([0xff, 0xda])
const channels = 4
const white = 255

/**
 * How a codec is made: anew for each picture, since its memory never shrinks, and silent, since what it has to say about a stranger's file
 * would go to stdout, where only the protocol speaks.
 */
const codec = async (name: keyof typeof codecFiles) => ({
  wasmBinary: await readCodec(name),
  print: () => undefined,
  printErr: () => undefined,
})

/**
 * A smaller JPEG of a JPEG or WebP that is too large to be shown, or undefined when it cannot be had: more pixels than are handled, or
 * bytes that no decoder takes. What is transparent becomes white.
 */
export async function previewPhoto(
  photo: Uint8Array,
  mediaType: 'image/jpeg' | 'image/webp',
): Promise<Uint8Array | undefined> {
  const size = mediaType === 'image/jpeg' ? findJpegSize(photo) : findWebpSize(photo)
  if (!size || size.width === 0 || size.height === 0 || size.width * size.height > maxPixels) return undefined
  if (mediaType === 'image/jpeg' && countScans(photo) > maxScans) return undefined
  try {
    const bytes = new Uint8Array(photo).buffer
    const { width, height, data } = mediaType === 'image/jpeg' ? await decodeJpeg(bytes) : await decodeWebp(bytes)
    if (width !== size.width || height !== size.height) return undefined
    const encoder = await import('@jsquash/jpeg/encode.js')
    await encoder.init(await codec('jpegEncoder'))
    for (const side of previewSides) {
      const small = shrink({ width, height, channels, data }, factorFor(size, side))
      const opaque = { ...small, data: onWhite(small.data), colorSpace: 'srgb' as const }
      const preview = new Uint8Array(await encoder.default(opaque))
      if (preview.length <= maxImageBytes) return preview
    }
    return undefined
  } catch {
    // A stranger's file may be broken in any way; it is linked then, as any other file.
    return undefined
  }
}

async function decodeJpeg(bytes: ArrayBuffer) {
  const decoder = await import('@jsquash/jpeg/decode.js')
  await decoder.init(await codec('jpegDecoder'))
  return decoder.default(bytes)
}

async function decodeWebp(bytes: ArrayBuffer) {
  const decoder = await import('@jsquash/webp/decode.js')
  await decoder.init(await codec('webpDecoder'))
  return decoder.default(bytes)
}

function onWhite(data: Uint8Array): Uint8ClampedArray<ArrayBuffer> {
  const opaque = new Uint8ClampedArray(data)
  for (let at = 0; at < data.length; at += channels) {
    const alpha = (data[at + 3] ?? white) / white
    for (let channel = 0; channel < 3; channel++)
      opaque[at + channel] = (data[at + channel] ?? 0) * alpha + white * (1 - alpha)
    opaque[at + 3] = white
  }
  return opaque
}

type Size = { readonly width: number; readonly height: number }

/** Width and height as the frame header says, read before anything is unpacked. */
function findJpegSize(jpeg: Uint8Array): Size | undefined {
  const view = new DataView(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength)
  for (let at = 2; at + 9 <= jpeg.length; ) {
    if (view.getUint8(at) !== 0xff) return undefined
    const marker = view.getUint8(at + 1)
    if (marker === 0xff) {
      at += 1
      continue
    }
    if (isFrame(marker)) return { height: view.getUint16(at + 5), width: view.getUint16(at + 7) }
    // After any other, such as one without a length, a decoder goes on elsewhere, and may find a frame of another size.
    if (!isSegment(marker)) return undefined
    at += 2 + view.getUint16(at + 2)
  }
  return undefined
}

/** Start of frame, of any kind; the three others in this range are no frames. */
const isFrame = (marker: number) => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)

/** Tables, application data and comments: what may stand before the frame, each with its length. */
const isSegment = (marker: number) =>
  [0xc4, 0xcc, 0xdb, 0xdd, 0xfe].includes(marker) || (marker >= 0xe0 && marker <= 0xef)

/** Scans of a JPEG, with those of pictures inside its metadata: in what is coded no 0xff comes before a 0xda. */
function countScans(jpeg: Uint8Array): number {
  const bytes = Buffer.from(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength)
  let scans = 0
  for (let at = bytes.indexOf(startOfScan); at !== -1 && scans <= maxScans; at = bytes.indexOf(startOfScan, at + 2))
    scans += 1
  return scans
}

/** Width and height of the canvas, from the first chunk. */
function findWebpSize(webp: Uint8Array): Size | undefined {
  if (webp.length < 30) return undefined
  const view = new DataView(webp.buffer, webp.byteOffset, webp.byteLength)
  const name = new TextDecoder('latin1').decode(webp.subarray(12, 16))
  const sizeOf14Bits = 0x3fff
  if (name === 'VP8 ')
    return { width: view.getUint16(26, true) & sizeOf14Bits, height: view.getUint16(28, true) & sizeOf14Bits }
  if (name === 'VP8L') {
    const bits = view.getUint32(21, true)
    return { width: (bits & sizeOf14Bits) + 1, height: ((bits >>> 14) & sizeOf14Bits) + 1 }
  }
  if (name === 'VP8X') {
    const sizeMinusOne = (at: number) => view.getUint16(at, true) + view.getUint8(at + 2) * 0x1_0000
    return { width: sizeMinusOne(24) + 1, height: sizeMinusOne(27) + 1 }
  }
  return undefined
}
