import { toLilypadError } from '@lilypad-agents/protocol'
import {
  ProtocolError,
  ProtocolErrorCode,
  type ReadResourceResult,
  ResourceNotFoundError,
} from '@modelcontextprotocol/server'
import { failureFacts, type Logger } from '../log/logger.ts'
import { escapeInvisible } from '../text/clean-text.ts'
import { tellProblem } from '../tool/problem.ts'

/** How long a reader may keep what it read. */
export type Freshness = { readonly ttlMs: number; readonly cacheScope: 'public' | 'private' }

export const live: Freshness = { ttlMs: 0, cacheScope: 'private' }
export const aMinute: Freshness = { ttlMs: 60_000, cacheScope: 'public' }
export const aDay: Freshness = { ttlMs: 86_400_000, cacheScope: 'private' }

/** A resource that is JSON. */
export function jsonContents(uri: string, value: unknown, freshness: Freshness): ReadResourceResult {
  const text = escapeInvisible(JSON.stringify(value, undefined, 2))
  return { contents: [{ uri, mimeType: 'application/json', text }], ...freshness }
}

/**
 * Reads a resource; what is not there, not ours, or not an address is not found, all the same, so that nobody can probe.
 * @throws ResourceNotFoundError, or ProtocolError when a party that is needed does not answer
 */
export async function readOrNotFound(
  uri: string,
  logger: Logger,
  read: () => Promise<ReadResourceResult | undefined>,
): Promise<ReadResourceResult> {
  let contents: ReadResourceResult | undefined
  try {
    contents = await read()
  } catch (error) {
    const { code, retryable } = toLilypadError(error)
    if (!retryable && code !== 'INTERNAL') throw new ResourceNotFoundError(uri)
    logger.warn(failureFacts(error), 'resource not read')
    const message = code === 'INTERNAL' ? 'The resource could not be read.' : tellProblem(error, logger).problem.message
    throw new ProtocolError(ProtocolErrorCode.InternalError, message, { uri, code, retryable })
  }
  if (!contents) throw new ResourceNotFoundError(uri)
  return contents
}

/** Decodes a part of an address; undefined when it is not well formed. */
export function decodePart(part: string | readonly string[] | undefined): string | undefined {
  if (typeof part !== 'string') return undefined
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
