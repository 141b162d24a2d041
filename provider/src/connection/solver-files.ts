import { openAsBlob } from 'node:fs'
import type { ContentStore } from '@lilypad-agents/blobs'
import {
  type Bytes32,
  createAuthorization,
  fromErrorBody,
  LilypadError,
  type Signer,
  type SigningDomain,
} from '@lilypad-agents/protocol'
import { SolverUnreachableError } from '@lilypad-agents/sdk'

type FileRequest = Omit<RequestInit, 'headers'> & { readonly headers?: Record<string, string> }
type File = { readonly sha256: Bytes32; readonly bytes: number }

/** Files that go between the provider and its solver. All calls can be repeated. */
export type SolverFiles = {
  /** Fetches the program of a module into a store. Returns its path. */
  fetchArtifact(file: File, into: ContentStore, signal: AbortSignal): Promise<string>
  /** Fetches an input file of a job into a store. Returns its path. */
  fetchInput(orderHash: Bytes32, file: File, into: ContentStore, signal: AbortSignal): Promise<string>
  /** Puts an output of a job at the solver; one that is there already is fine. */
  putOutput(orderHash: Bytes32, file: File, path: string, signal: AbortSignal): Promise<void>
}

/** Slowest transfer that is waited for, in bytes per second, after a minute for the answer itself. */
const slowestBytesPerSecond = 50_000

/** Moves files over the solver's HTTP routes with the provider's signature. */
export function createSolverFiles(options: {
  readonly url: string
  readonly domain: SigningDomain
  readonly signer: Signer
}): SolverFiles {
  const base = options.url.replace(/\/$/, '')

  async function call(path: string, file: File, signal: AbortSignal, request: FileRequest = {}): Promise<Response> {
    const milliseconds = Math.min(60_000 + Math.ceil((file.bytes / slowestBytesPerSecond) * 1000), 2 ** 31 - 1)
    const either = AbortSignal.any([signal, AbortSignal.timeout(milliseconds)])
    let response: Response
    try {
      response = await fetch(`${base}${path}`, { redirect: 'error', ...request, signal: either })
    } catch (error) {
      throw new SolverUnreachableError(base, error)
    }
    if (response.ok) return response
    const isPassing = response.status >= 500 || response.status === 429
    const body: unknown = await response.json().catch(() => undefined)
    throw fromErrorBody(body, {
      code: isPassing ? 'SOLVER_UNREACHABLE' : 'INVALID_REQUEST',
      message: `The solver answered with status ${response.status}.`,
    })
  }

  async function fetchInto(
    path: string,
    file: File,
    into: ContentStore,
    signal: AbortSignal,
    request: FileRequest,
  ): Promise<string> {
    try {
      return await into.write(file, async (start) => {
        const headers = { ...request.headers, ...(start === 0 ? {} : { range: `bytes=${start}-` }) }
        const response = await call(path, file, signal, { ...request, headers })
        return { offset: response.status === 206 ? start : 0, chunks: response.body ?? empty() }
      })
    } catch (error) {
      if (LilypadError.is(error)) throw error
      throw new SolverUnreachableError(base, error)
    }
  }

  const authorized = (orderHash: Bytes32) => ({
    authorization: createAuthorization(options.domain, orderHash, options.signer, new Date()),
  })
  return {
    fetchArtifact: (file, into, signal) => fetchInto(`/artifacts/${file.sha256}`, file, into, signal, {}),
    fetchInput: (orderHash, file, into, signal) =>
      fetchInto(`/jobs/${orderHash}/inputs/${file.sha256}`, file, into, signal, { headers: authorized(orderHash) }),
    async putOutput(orderHash, file, path, signal) {
      const body = await openAsBlob(path)
      const response = await call(`/jobs/${orderHash}/outputs/${file.sha256}`, file, signal, {
        method: 'PUT',
        body,
        headers: { ...authorized(orderHash), 'content-type': 'application/octet-stream' },
      })
      await response.body?.cancel()
    },
  }
}

async function* empty(): AsyncGenerator<Uint8Array> {}
