import { randomBytes } from 'node:crypto'
import encodeJpeg, { init } from '@jsquash/jpeg/encode.js'
import { readCodec } from '../src/outputs/read-codec.ts'

/** A JPEG of noise, as large as such a picture gets. */
export async function encodePhoto(width: number, height: number): Promise<Uint8Array> {
  await init({ wasmBinary: await readCodec('jpegEncoder') })
  const data = new Uint8ClampedArray(randomBytes(width * height * 4))
  return new Uint8Array(await encodeJpeg({ width, height, data, colorSpace: 'srgb' }, { quality: 90 }))
}
