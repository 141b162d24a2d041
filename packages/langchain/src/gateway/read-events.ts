import { eventReader } from '@lilypad-agents/sdk'
import { LilypadError, StreamTruncatedError } from '../error/lilypad-error.ts'
import type { GatewayCall } from './gateway-client.ts'
import { toGatewayError } from './gateway-error.ts'

/**
 * Reads the events of a stream, up to `[DONE]`.
 * @throws StreamTruncatedError when it ends before, LilypadError for an event that is an error or no JSON
 */
export async function* readEvents(
  response: Response,
  { signal, idempotencyKey }: GatewayCall,
): AsyncGenerator<unknown, void> {
  const read = eventReader({ toError: (_fault, cause) => malformed(idempotencyKey, cause) })
  const reader = response.body?.getReader()
  try {
    while (reader) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        signal?.throwIfAborted()
        throw truncated(idempotencyKey, cause)
      })
      if (done) break
      for (const data of read(value)) {
        if (data === '[DONE]') return
        const event = parse(data, idempotencyKey)
        if (typeof event === 'object' && event !== null && 'error' in event && event.error)
          throw toGatewayError(event, { idempotencyKey })
        yield event
      }
    }
    throw truncated(idempotencyKey)
  } finally {
    await reader?.cancel().catch(() => undefined)
  }
}

function parse(data: string, idempotencyKey: string | undefined): unknown {
  try {
    return JSON.parse(data)
  } catch (cause) {
    throw malformed(idempotencyKey, cause)
  }
}

/** An event that is none. */
export const malformed = (idempotencyKey: string | undefined, cause: unknown) =>
  new LilypadError('UPSTREAM_FAILED', 'The stream of the gateway holds something that is not an event in JSON.', {
    charged: 'unknown',
    hint: 'ask again with the same idempotency key',
    idempotencyKey,
    cause,
  })

/** The end of a reply that has no end. */
export const truncated = (idempotencyKey: string | undefined, cause?: unknown) =>
  new StreamTruncatedError('STREAM_BROKEN', 'The reply broke off before its end.', {
    charged: 'unknown',
    hint: 'ask again with the same idempotency key: what was paid for is answered again and not paid again',
    idempotencyKey,
    cause,
  })
