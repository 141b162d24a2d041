import { randomBytes } from 'node:crypto'
import encodeJpeg, { init as initJpeg } from '@jsquash/jpeg/encode.js'
import decodeJpeg, { init as initDecoder } from '@jsquash/jpeg/decode.js'
import encodeWebp, { init as initWebp } from '@jsquash/webp/encode.js'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { beforeAll, describe, expect, test } from 'vitest'
import { maxImageBytes } from './output-kind.ts'
import { previewPhoto } from './preview-photo.ts'
import { readCodec } from './read-codec.ts'

type Kind = 'image/jpeg' | 'image/webp'

beforeAll(async () => {
  await initJpeg({ wasmBinary: await readCodec('jpegEncoder') })
  await initDecoder({ wasmBinary: await readCodec('jpegDecoder') })
  const require = createRequire(import.meta.url)
  await initWebp({ wasmBinary: readFileSync(require.resolve('@jsquash/webp/codec/enc/webp_enc.wasm')) })
})

/** Coarse noise: it does not compress well, and a smaller picture of it has the same mean. */
function picture(width: number, height: number, alpha = 255) {
  const data = new Uint8ClampedArray(randomBytes(width * height * 4))
  for (let at = 3; at < data.length; at += 4) data[at] = alpha
  return { width, height, data, colorSpace: 'srgb' as const }
}
const encode = async (kind: Kind, image: ReturnType<typeof picture>): Promise<Uint8Array> =>
  new Uint8Array(
    kind === 'image/jpeg'
      ? await encodeJpeg(image, { quality: 90 })
      : await encodeWebp(image, { quality: 90, method: 0 }),
  )
const mean = (data: ArrayLike<number>, channel: number) => {
  let sum = 0
  for (let at = channel; at < data.length; at += 4) sum += data[at] ?? 0
  return sum / (data.length / 4)
}
/** Says that the picture is larger than it is, where the frame of a JPEG says so. */
function claim(jpeg: Uint8Array, width: number, height: number): Uint8Array {
  const claimed = Buffer.from(jpeg)
  const frame = claimed.findIndex((byte, at) => byte === 0xff && [0xc0, 0xc1, 0xc2].includes(claimed[at + 1] ?? 0))
  claimed.writeUInt16BE(height, frame + 5)
  claimed.writeUInt16BE(width, frame + 7)
  return claimed
}

describe.each<Kind>(['image/jpeg', 'image/webp'])('S7: a %s', (kind) => {
  test('is made small enough to be shown, in its proportions', async () => {
    const photo = await encode(kind, picture(1100, 700))
    expect(photo.length).toBeGreaterThan(maxImageBytes)
    const preview = (await previewPhoto(photo, kind)) ?? new Uint8Array()
    expect(preview.length).toBeLessThanOrEqual(maxImageBytes)
    const { width, height, data } = await decodeJpeg(new Uint8Array(preview).buffer)
    expect(Math.max(width, height)).toBeLessThanOrEqual(768)
    expect(width / height).toBeCloseTo(1100 / 700, 1)
    for (const channel of [0, 1, 2]) expect(Math.abs(mean(data, channel) - 127)).toBeLessThan(12)
  })

  test('that breaks off, or is noise behind its first bytes, gives none or a picture, never an error', async () => {
    const photo = await encode(kind, picture(600, 500))
    for (const part of [0, 4, 20, 200, photo.length / 2])
      expect((await previewPhoto(photo.subarray(0, part), kind))?.length ?? 0).toBeLessThanOrEqual(maxImageBytes)
    const noise = Buffer.concat([photo.subarray(0, 64), randomBytes(20_000)])
    expect((await previewPhoto(noise, kind))?.length ?? 0).toBeLessThanOrEqual(maxImageBytes)
  })
})

test('what is transparent becomes white', async () => {
  const preview = await previewPhoto(await encode('image/webp', picture(900, 900, 0)), 'image/webp')
  const { data } = await decodeJpeg(new Uint8Array(preview ?? []).buffer)
  expect(mean(data, 0)).toBeGreaterThan(250)
})

test('a picture that says it is larger than what is handled is not unpacked', async () => {
  const photo = await encode('image/jpeg', picture(64, 64))
  const startedAt = performance.now()
  expect(await previewPhoto(claim(photo, 65_000, 65_000), 'image/jpeg')).toBeUndefined()
  expect(await previewPhoto(claim(photo, 0, 64), 'image/jpeg')).toBeUndefined()
  expect(performance.now() - startedAt).toBeLessThan(1000)
})

test('a size that only a careless reader sees is not believed', async () => {
  const photo = Buffer.from(claim(await encode('image/jpeg', picture(64, 64)), 9000, 9000))
  const frame = Buffer.from([0xff, 0xc0, 0, 17, 8, 0, 64, 0, 64, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
  for (const marker of [0x00, 0x01, 0xd0]) {
    // A comment that a decoder leaves out. Whoever takes its first bytes for the length of the marker lands in its last.
    const comment = Buffer.alloc(2 + 65_535)
    comment.set([0xff, 0xfe, 0xff, 0xff])
    const before = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, marker]), comment])
    const lying = Buffer.concat([before, photo.subarray(2)])
    frame.copy(lying, 4 + 0xfffe)
    const startedAt = performance.now()
    expect(await previewPhoto(lying, 'image/jpeg')).toBeUndefined()
    expect(performance.now() - startedAt).toBeLessThan(200)
  }
})

test('a picture of thousands of scans is not unpacked', async () => {
  const photo = Buffer.from(
    await encodeJpeg(picture(64, 64), { quality: 90, progressive: true } as Parameters<typeof encodeJpeg>[1]),
  )
  const frame = photo.findIndex((byte, at) => byte === 0xff && photo[at + 1] === 0xc2)
  const component = photo[frame + 10] ?? 0
  // One pass of a coefficient over the whole picture, which says for all blocks that nothing comes.
  const scan = Buffer.from([0xff, 0xda, 0, 8, 1, component, 0, 1, 1, 0, 0xff, 0x00])
  const many = Buffer.concat([claim(photo, 2000, 2000).subarray(0, -2), ...Array<Buffer>(3000).fill(scan)])
  const startedAt = performance.now()
  expect(await previewPhoto(many, 'image/jpeg')).toBeUndefined()
  expect(performance.now() - startedAt).toBeLessThan(500)
})
