import { openOutputShelf } from '@lilypad-agents/blobs'
import type { Bytes32 } from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'

/** Where outputs were published, with a link to each where the service makes links. */
export type PublishedOutputs = {
  readonly folder: string
  readonly files: readonly { readonly path: string; readonly sha256: Bytes32; readonly link: string | undefined }[]
}

/**
 * Puts the outputs of a job into a bucket or an IPFS node, as they were delivered: sealed ones stay sealed, and every
 * digest is the one that the provider signed.
 */
export async function publishOutputs(
  lilypad: Lilypad,
  orderHash: Bytes32,
  options: {
    readonly to: string
    readonly linkSeconds: number
    readonly environment: Readonly<Record<string, string | undefined>>
  },
): Promise<PublishedOutputs> {
  const shelf = openOutputShelf(options.to, options.environment)
  const outputs = await lilypad.fetchOutputs(orderHash)
  const files = []
  for (const { path, bytes, sha256, readDelivered } of outputs) {
    // The store keeps plain bytes; their type says that they could be shared memory.
    const content = new Blob([(await readDelivered()) as Uint8Array<ArrayBuffer>])
    files.push({ path, bytes, sha256, content })
  }
  const folder = await shelf.publish(orderHash, files)
  const links = await Promise.all(files.map(({ path }) => shelf.link(folder, path, options.linkSeconds)))
  return { folder, files: files.map(({ path, sha256 }, index) => ({ path, sha256, link: links[index] })) }
}
