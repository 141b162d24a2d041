import { createSigner, deliveredBytesLimit, isRecipient, recipientInput } from '@lilypad-agents/protocol'
import { beforeAll, expect, test } from 'vitest'
import { deriveOutputIdentity, openSealed, openSealedStream, type OutputIdentity, sealStream } from './seal.ts'

let own: OutputIdentity
let other: OutputIdentity
beforeAll(async () => {
  own = await deriveOutputIdentity(createSigner(`0x${'22'.repeat(32)}`))
  other = await deriveOutputIdentity(createSigner(`0x${'23'.repeat(32)}`))
})

function streamOf(...chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })
}
async function read(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).arrayBuffer())
}
const seal = async (bytes: Uint8Array, to = own) => read(await sealStream(to.recipient, streamOf(bytes)))

test('the key follows from the signer, and tells nothing of it', async () => {
  expect(await deriveOutputIdentity(createSigner(`0x${'22'.repeat(32)}`))).toEqual(own)
  expect(isRecipient(own.recipient)).toBe(true)
  expect(other.recipient).not.toBe(own.recipient)
  // A change here would lock everybody out of what was sealed before.
  expect(own.recipient).toMatchInlineSnapshot(`"age1n5ucnnllf2jmyzesex27hkskunr6x9w9xwf088c9k058g4y6f42sv93x35"`)
})

test.each([0, 1, 65_535, 65_536, 65_537, 131_072, 300_000])(
  '%i bytes come back, and are no longer than allowed',
  async (size) => {
    const bytes = new Uint8Array(size).map((_, index) => index % 251)
    const sealed = await seal(bytes)
    expect(await openSealed(own.identity, sealed)).toEqual(bytes)
    expect(sealed.length).toBeLessThanOrEqual(
      deliveredBytesLimit({ outputBytes: size, outputFiles: 1 }, { [recipientInput]: own.recipient }),
    )
  },
)

test('nobody else opens it', async () => {
  const sealed = await seal(new TextEncoder().encode('the answer'))
  expect(Buffer.from(sealed).includes('answer')).toBe(false)
  await expect(openSealed(other.identity, sealed)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
})

test('the same content is never sealed to the same bytes, so that nobody can compare', async () => {
  const bytes = new TextEncoder().encode('yes')
  expect(await seal(bytes)).not.toEqual(await seal(bytes))
})

test('what was changed, cut or lengthened does not open', async () => {
  const sealed = await seal(new Uint8Array(150_000))
  const changed = [0, 30, 100, 160, 190, 70_000, sealed.length - 1].map((at) => {
    const copy = sealed.slice()
    copy[at] = (copy[at] ?? 0) ^ 1
    return copy
  })
  const cut = [0, 100, 200, 65_736, sealed.length - 1].map((length) => sealed.slice(0, length))
  const longer = new Uint8Array([...sealed.slice(0, 66_000), ...sealed.slice(65_000)])
  for (const bytes of [...changed, ...cut, longer])
    await expect(openSealed(own.identity, bytes)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' })
})

test('what is not sealed does not open', async () => {
  for (const text of ['', 'plain', 'age-encryption.org/v1\n'])
    await expect(openSealed(own.identity, new TextEncoder().encode(text))).rejects.toMatchObject({
      code: 'DIGEST_MISMATCH',
    })
})

test('a large file goes through in little memory', { timeout: 120_000 }, async () => {
  const chunk = new Uint8Array(1_000_000).fill(7)
  const chunks = 150
  let sent = 0
  const plain = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (sent++ < chunks) controller.enqueue(chunk)
        else controller.close()
      },
    },
    { highWaterMark: 0 },
  )
  const before = process.memoryUsage().rss
  let most = before
  let bytes = 0
  for await (const part of await openSealedStream(own.identity, await sealStream(own.recipient, plain))) {
    bytes += part.length
    most = Math.max(most, process.memoryUsage().rss)
  }
  expect(bytes).toBe(chunks * chunk.length)
  // Held at once: some chunks of each step, and what the collector has not taken yet.
  expect(most - before).toBeLessThan(100_000_000)
})
