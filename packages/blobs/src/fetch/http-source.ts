import type { Blob, BlobSource } from '../store/content-store.ts'
import { FetchFailedError } from './fetch-errors.ts'
import type { PublicFetcher } from './fetch-public.ts'

/** A source of a blob at a URL that somebody has given: resumes by range where the server can. */
export function httpSource(
  fetcher: PublicFetcher,
  url: string,
  blob: Blob,
  options: { readonly signal?: AbortSignal } = {},
): BlobSource {
  return async (start) => {
    const headers: Record<string, string> =
      start === 0 ? {} : { range: `bytes=${start}-`, 'if-range': `"${blob.sha256.slice(2)}"` }
    // One byte more than is missing, so that an answer that is too long is known for what it is.
    const maxBytes = blob.bytes + 1
    const response = await fetcher.fetch(url, { ...options, headers, maxBytes })
    if (response.status === 200) return { offset: 0, chunks: response.body }
    const match = /^bytes (\d+)-/.exec(String(response.headers['content-range'] ?? ''))
    if (match === null) throw new FetchFailedError(url, { reason: 'a part of the content that says not which' })
    return { offset: Number(match[1]), chunks: response.body }
  }
}
