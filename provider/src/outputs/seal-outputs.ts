import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { BlobMismatchError } from '@lilypad-agents/blobs'
import type { OutputFile } from '@lilypad-agents/protocol'
import { sealStream } from '@lilypad-agents/sdk'

/**
 * Seals output files into another folder, under the same paths, and checks on the way that each is still what was
 * collected. Returns the files as they are delivered: what is signed, uploaded and checked is the sealed bytes, so
 * that a relay learns paths and sizes and nothing of the content.
 */
export async function sealOutputs<T extends OutputFile>(options: {
  readonly recipient: string
  readonly outputs: readonly T[]
  readonly from: string
  readonly into: string
}): Promise<readonly T[]> {
  const { recipient, outputs, from, into } = options
  await rm(into, { recursive: true, force: true })
  const sealed: T[] = []
  for (const output of outputs) {
    const target = join(into, output.path)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    sealed.push({ ...output, ...(await sealFile(recipient, join(from, output.path), output, target)) })
  }
  return sealed
}

async function sealFile(
  recipient: string,
  source: string,
  expected: OutputFile,
  target: string,
): Promise<Pick<OutputFile, 'bytes' | 'sha256'>> {
  const plainHash = createHash('sha256')
  async function* plain() {
    for await (const chunk of createReadStream(source)) {
      plainHash.update(chunk)
      yield chunk as Uint8Array
    }
  }
  const hash = createHash('sha256')
  let bytes = 0
  const file = await open(target, 'wx', 0o600)
  try {
    // The two libraries name the same kind of stream by two types.
    const stream = Readable.toWeb(Readable.from(plain())) as ReadableStream<Uint8Array>
    for await (const chunk of await sealStream(recipient, stream)) {
      hash.update(chunk)
      bytes += chunk.length
      await file.writeFile(chunk)
    }
  } finally {
    await file.close()
  }
  const actual = `0x${plainHash.digest('hex')}`
  if (actual !== expected.sha256) throw new BlobMismatchError({ expected: expected.sha256, actual })
  return { bytes, sha256: `0x${hash.digest('hex')}` }
}
