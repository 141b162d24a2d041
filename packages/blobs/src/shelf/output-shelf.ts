import { LilypadError } from '@lilypad-agents/protocol'
import type { Blob as NamedBlob, BlobSource } from '../store/content-store.ts'

/** A file to be published. `content` may be in memory or, by `openAsBlob`, on disk. */
export type ShelfFile = NamedBlob & { readonly path: string; readonly content: Blob }

/** A service outside of the network in which outputs are kept for others or for longer. */
export type OutputShelf = {
  /**
   * Puts files there as one folder; the same again changes nothing.
   * @returns where they are: `s3://…` or `ipfs://…`
   * @throws {@link ShelfError}
   */
  publish(name: string, files: readonly ShelfFile[]): Promise<string>
  /** A published file, by the URL of its folder and its path there; resumes. */
  source(folder: string, path: string): BlobSource
  /** A URL with which anybody can read a published file for a while; undefined where the service has no such thing. */
  link(folder: string, path: string, seconds: number): Promise<string | undefined>
}

/** The service does not answer or refuses. */
export class ShelfError extends LilypadError {
  override readonly name = 'ShelfError'
  constructor(
    service: string,
    facts: { readonly status?: number; readonly reason?: string; readonly cause?: unknown },
  ) {
    const { status, cause } = facts
    const reason = facts.reason ?? (status === undefined ? 'no answer' : `status ${status}`)
    const isPassing = status === undefined || status >= 500 || status === 429
    super(
      isPassing ? 'OUTPUT_UNAVAILABLE' : 'INVALID_REQUEST',
      'The service that keeps outputs did not do what was asked.',
      {
        details: [`Service: ${service}`, `Reason: ${reason}`],
        hint: isPassing ? 'try again later' : 'check its address, and the credentials in the environment',
        retryable: isPassing,
        ...(cause === undefined ? {} : { cause }),
      },
    )
  }
}

/** @throws LilypadError CONFIG_INVALID */
export function invalidShelf(reason: string): LilypadError {
  return new LilypadError('CONFIG_INVALID', 'The address of the service that keeps outputs is not valid.', {
    details: [reason],
    hint: 'write s3://bucket/prefix?region=…&endpoint=https://… or kubo+http://host:5001',
  })
}
