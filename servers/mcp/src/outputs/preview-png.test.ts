import { randomBytes } from 'node:crypto'
import { crc32, deflateSync } from 'node:zlib'
import { decode, encode } from 'fast-png'
import { expect, test } from 'vitest'
import { maxImageBytes } from './output-kind.ts'
import { previewPng } from './preview-png.ts'

/** Noise does not compress, so the file is as large as its pixels. */
function noise(width: number, height: number, channels: 1 | 3 | 4): Uint8Array {
  const data = randomBytes(width * height * channels)
  return encode({ width, height, channels, depth: 8, data })
}
function chunk(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const bytes = Buffer.alloc(body.length + 8)
  bytes.writeUInt32BE(data.length, 0)
  body.copy(bytes, 4)
  bytes.writeUInt32BE(crc32(body), body.length + 4)
  return bytes
}
const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
const head = (width: number, height: number) => {
  const data = Buffer.alloc(13)
  data.writeUInt32BE(width, 0)
  data.writeUInt32BE(height, 4)
  data.set([8, 2, 0, 0, 0], 8)
  return chunk('IHDR', data)
}

test.each([
  ['colours', 1024, 1024, 3],
  ['colours with transparency', 700, 900, 4],
  ['grey', 1500, 400, 1],
] as const)(
  'S7: %s are made small enough to be shown, in their proportions',
  async (_what, width, height, channels) => {
    const png = noise(width, height, channels)
    expect(png.length).toBeGreaterThan(maxImageBytes)
    const small = await previewPng(png)
    expect(small?.length).toBeLessThanOrEqual(maxImageBytes)
    const image = decode(small ?? new Uint8Array())
    expect(image.width / image.height).toBeCloseTo(width / height, 1)
    expect(image.channels).toBe(channels)
  },
)

test('an even colour stays what it is', async () => {
  const data = new Uint8Array(900 * 900 * 3).fill(200)
  const small = await previewPng(encode({ width: 900, height: 900, channels: 3, depth: 8, data }))
  expect(new Set(decode(small ?? new Uint8Array()).data)).toEqual(new Set([200]))
})

const bomb = deflateSync(Buffer.alloc(300 * 1024 * 1024))
test.each([
  [
    'more pixels than are handled',
    Buffer.concat([
      signature,
      head(60_000, 60_000),
      chunk('IDAT', deflateSync(Buffer.alloc(10))),
      chunk('IEND', Buffer.alloc(0)),
    ]),
  ],
  [
    'a bomb in its pixels',
    Buffer.concat([signature, head(100, 100), chunk('IDAT', bomb), chunk('IEND', Buffer.alloc(0))]),
  ],
  [
    'a second size, after the one that is small',
    Buffer.concat([
      ...[signature, head(100, 100), head(50_000_000, 1)],
      ...[chunk('IDAT', deflateSync(Buffer.alloc(30_100))), chunk('IEND', Buffer.alloc(0))],
    ]),
  ],
  ['no pixels', Buffer.concat([signature, head(100, 100), chunk('IEND', Buffer.alloc(0))])],
  ['a size of nothing', Buffer.concat([signature, head(0, 0), chunk('IDAT', bomb)])],
  ['an end in the middle', noise(300, 300, 3).subarray(0, 5000)],
  ['only a signature', signature],
  ['nothing', new Uint8Array()],
])('a file with %s is not previewed, and harms nothing', async (_what, bytes) => {
  const before = process.memoryUsage().rss
  expect(await previewPng(bytes)).toBeUndefined()
  expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024)
})

test('a bomb in what is not seen is left out', async () => {
  const png = Buffer.from(noise(400, 400, 3))
  const profile = chunk('iCCP', Buffer.concat([Buffer.from('p\0\0', 'latin1'), bomb]))
  const small = await previewPng(Buffer.concat([png.subarray(0, 33), profile, png.subarray(33)]))
  expect(small).toBeDefined()
})
