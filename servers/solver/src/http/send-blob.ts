import type { ContentStore } from '@lilypad-agents/blobs'
import type { Response } from 'express'
import type { Bytes32 } from '@lilypad-agents/protocol'

/** Streams a blob, whole or a range of it. Content of strangers is never shown by a browser under our name. */
export function sendBlob(response: Response, blobs: ContentStore, digest: Bytes32): Promise<void> {
  response.setHeader('content-type', 'application/octet-stream')
  response.setHeader('content-disposition', 'attachment')
  response.setHeader('content-security-policy', "default-src 'none'; sandbox")
  // The digest names the bytes for ever, so a transfer that was cut can go on with `If-Range`.
  response.setHeader('etag', `"${digest.slice(2)}"`)
  return new Promise((resolve, reject) => {
    const options = {
      root: blobs.directory,
      dotfiles: 'allow',
      cacheControl: false,
      lastModified: false,
      etag: false,
    } as const
    response.sendFile(blobs.relativePathOf(digest), options, (error?: Error & { readonly status?: number }) => {
      // The range that would fit is in the headers already.
      if (error?.status === 416) response.status(416).end()
      // A reader who hangs up half-way is no failure of ours.
      if (!error || response.headersSent) resolve()
      else reject(error)
    })
  })
}
