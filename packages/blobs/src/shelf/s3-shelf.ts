import { isSafePath } from '@lilypad-agents/protocol'
import { AwsV4Signer } from 'aws4fetch'
import { type Dispatcher, request } from 'undici'
import { invalidShelf, type OutputShelf, ShelfError, type ShelfFile } from './output-shelf.ts'

export type S3Options = {
  readonly bucket: string
  /** Put before every key; empty or without slashes at its ends. */
  readonly prefix: string
  /** @default us-east-1 */
  readonly region?: string
  /** Origin of a service that is not Amazon's; buckets are then paths, not host names. */
  readonly endpoint?: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

/** Files larger than this go in parts of this size, or of what makes ten thousand of them. */
const partBytes = 16 * 1024 ** 2
const mostParts = 10_000
const longestLinkSeconds = 604_800

type Call = {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}

/** Keeps outputs in a bucket of Amazon S3 or of what speaks like it. Every body is signed with its digest, so the service checks it. */
export function createS3Shelf(options: S3Options): OutputShelf {
  const { bucket, prefix, region = 'us-east-1', endpoint, accessKeyId, secretAccessKey, sessionToken } = options
  const base = endpoint === undefined ? `https://${bucket}.s3.${region}.amazonaws.com` : `${endpoint}/${bucket}`
  const service = `s3 ${new URL(base).origin}`
  const credentials = { accessKeyId, secretAccessKey, region, service: 's3', ...(sessionToken ? { sessionToken } : {}) }

  const keyOf = (folder: string, path: string) => {
    if (!isSafePath(path)) throw new RangeError(`not a safe path: ${JSON.stringify(path.slice(0, 100))}`)
    const [, root = ''] = /^s3:\/\/[^/]+\/(.*)$/.exec(folder) ?? []
    if (folder !== `s3://${bucket}/${root}`) throw invalidShelf('The folder is in another bucket.')
    return [...root.split('/'), ...path.split('/')].filter(Boolean).map(encodeURIComponent).join('/')
  }

  async function call(key: string, { method, query = {}, headers = {}, body }: Call): Promise<Dispatcher.ResponseData> {
    const url = `${base}/${key}${Object.keys(query).length === 0 ? '' : `?${new URLSearchParams(query)}`}`
    const signed = await new AwsV4Signer({
      ...credentials,
      method,
      url,
      headers: { ...headers },
      ...(body === undefined ? {} : { body: body as string }),
    }).sign()
    try {
      return await request(signed.url, {
        method,
        headers: Object.fromEntries(signed.headers),
        ...(body === undefined ? {} : { body }),
      })
    } catch (error) {
      throw new ShelfError(service, { cause: error })
    }
  }

  /** Calls and reads an answer of success. */
  async function callText(key: string, options: Call): Promise<{ text: string; etag: string }> {
    const { statusCode, headers, body } = await call(key, options)
    const text = await body.text()
    // A completed upload may fail within an answer of status 200.
    if (statusCode >= 300 || text.includes('<Error>')) throw new ShelfError(service, { status: statusCode })
    return { text, etag: String(headers.etag ?? '') }
  }

  async function isThere(key: string, file: ShelfFile): Promise<boolean> {
    const { statusCode, headers, body } = await call(key, { method: 'HEAD' })
    await body.dump()
    return (
      statusCode === 200 &&
      headers['content-length'] === String(file.bytes) &&
      headers['x-amz-meta-sha256'] === file.sha256.slice(2)
    )
  }

  async function putParts(key: string, file: ShelfFile, headers: Readonly<Record<string, string>>): Promise<void> {
    const begun = await callText(key, { method: 'POST', query: { uploads: '' }, headers })
    const uploadId = /<UploadId>([^<]+)<\/UploadId>/.exec(begun.text)?.[1]
    if (uploadId === undefined) throw new ShelfError(service, { reason: 'an upload without an id' })
    try {
      const size = Math.max(partBytes, Math.ceil(file.bytes / mostParts))
      const parts: string[] = []
      for (let start = 0; start < file.bytes; start += size) {
        const body = new Uint8Array(await file.content.slice(start, start + size).arrayBuffer())
        const partNumber = parts.length + 1
        const query = { partNumber: String(partNumber), uploadId }
        const { etag } = await callText(key, { method: 'PUT', query, body, headers: await digestHeader(body) })
        parts.push(`<Part><PartNumber>${partNumber}</PartNumber><ETag>${etag}</ETag></Part>`)
      }
      const body = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
      await callText(key, { method: 'POST', query: { uploadId }, body, headers: { 'content-type': 'application/xml' } })
    } catch (error) {
      // Parts of an upload that nobody ends are paid for until they are thrown away.
      await callText(key, { method: 'DELETE', query: { uploadId } }).catch(() => {})
      throw error
    }
  }

  return {
    async publish(name, files) {
      const folder = `s3://${bucket}/${[prefix, name].filter(Boolean).join('/')}`
      for (const file of files) {
        const key = keyOf(folder, file.path)
        if (await isThere(key, file)) continue
        const headers = { 'content-type': 'application/octet-stream', 'x-amz-meta-sha256': file.sha256.slice(2) }
        if (file.bytes > partBytes) await putParts(key, file, headers)
        else {
          const body = new Uint8Array(await file.content.arrayBuffer())
          const digest = { 'x-amz-content-sha256': file.sha256.slice(2) }
          await callText(key, { method: 'PUT', body, headers: { ...headers, ...digest } })
        }
      }
      return folder
    },
    source: (folder, path) => async (start) => {
      const headers: Record<string, string> = start === 0 ? {} : { range: `bytes=${start}-` }
      const { statusCode, body } = await call(keyOf(folder, path), { method: 'GET', headers })
      if (statusCode === 200 || statusCode === 206) return { offset: statusCode === 206 ? start : 0, chunks: body }
      await body.dump()
      throw new ShelfError(service, { status: statusCode })
    },
    async link(folder, path, seconds) {
      const url = new URL(`${base}/${keyOf(folder, path)}`)
      url.searchParams.set('X-Amz-Expires', String(Math.min(seconds, longestLinkSeconds)))
      return (await new AwsV4Signer({ ...credentials, url: url.href, signQuery: true }).sign()).url.href
    },
  }
}

async function digestHeader(body: Uint8Array<ArrayBuffer>): Promise<Record<string, string>> {
  const digest = await crypto.subtle.digest('SHA-256', body)
  return { 'x-amz-content-sha256': Buffer.from(digest).toString('hex') }
}
