import { isSafePath } from '@lilypad-agents/protocol'
import { request } from 'undici'
import { folderCid } from '../cid/folder-cid.ts'
import { type OutputShelf, ShelfError } from './output-shelf.ts'

/** Blocks are made as {@link folderCid} makes them. */
const blocks = { 'cid-version': '1', 'raw-leaves': 'true', chunker: 'size-262144', 'wrap-with-directory': 'true' }

/**
 * Keeps outputs in an IPFS node, over the RPC of Kubo. What the node answers is compared with the name computed here.
 * @see https://docs.ipfs.tech/reference/kubo/rpc
 */
export function createKuboShelf(options: { readonly url: string; readonly authorization?: string }): OutputShelf {
  const base = options.url.replace(/\/$/, '')
  const service = `kubo ${new URL(base).origin}`
  const headers: Record<string, string> =
    options.authorization === undefined ? {} : { authorization: options.authorization }

  return {
    async publish(_name, files) {
      const form = new FormData()
      // A node reads the name of a part as a path that is escaped like a URL.
      for (const { path, content } of files) form.append('file', content, encodeURIComponent(path))
      const query = new URLSearchParams({ ...blocks, pin: 'true', progress: 'false' })
      const response = await fetch(`${base}/api/v0/add?${query}`, { method: 'POST', body: form, headers }).catch(
        (error: unknown) => {
          throw new ShelfError(service, { cause: error })
        },
      )
      const text = await response.text()
      if (!response.ok) throw new ShelfError(service, { status: response.status })
      const expected = await folderCid(files.map(({ path, content }) => ({ path, content: content.stream() })))
      const added = text.split('\n').flatMap((line) => readHash(line) ?? [])
      if (!added.includes(expected)) throw new ShelfError(service, { reason: `it did not name the folder ${expected}` })
      return `ipfs://${expected}`
    },
    source: (folder, path) => async (start) => {
      const [, cid] = /^ipfs:\/\/([a-zA-Z0-9]+)$/.exec(folder) ?? []
      if (cid === undefined || !isSafePath(path))
        throw new ShelfError(service, { status: 400, reason: 'not a published file' })
      const query = new URLSearchParams({ arg: `/ipfs/${cid}/${path}`, offset: String(start) })
      const { statusCode, body } = await request(`${base}/api/v0/cat?${query}`, { method: 'POST', headers }).catch(
        (error: unknown) => {
          throw new ShelfError(service, { cause: error })
        },
      )
      if (statusCode === 200) return { offset: start, chunks: body }
      await body.dump()
      throw new ShelfError(service, { status: statusCode })
    },
    link: async () => undefined,
  }
}

function readHash(line: string): string | undefined {
  try {
    const { Hash } = JSON.parse(line) as { readonly Hash?: unknown }
    return typeof Hash === 'string' ? Hash : undefined
  } catch {
    return undefined
  }
}
