import type { IncomingHttpHeaders } from 'node:http'
import type { RequestHandler, Response } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'

/** Most bytes of bodies at once, beside one of the longest. */
const roomBytes = 32 * 1024 ** 2

/** Room for the bodies of those who have shown neither a key nor a payment: what they send is held in memory before anybody pays for it. */
export type BodyRoom = {
  /** Keeps room for what a request says it will send, until it is answered; one that does not say is taken for the longest. */
  readonly enter: RequestHandler
  /** Gives it back for a request that is paid. */
  leave(response: Response): void
}

/** A room of which one address may take half. */
export function createBodyRoom(options: { readonly maxBytes: number }): BodyRoom {
  const { maxBytes } = options
  const total = roomBytes + maxBytes
  const heldBy = new Map<string, number>()
  let held = 0

  return {
    enter(request, response, next) {
      const bytes = heldFor(request.headers, maxBytes)
      const address = request.socket.remoteAddress ?? ''
      const ofAddress = heldBy.get(address) ?? 0
      if (bytes > 0 && (held + bytes > total || (ofAddress > 0 && ofAddress + bytes > total / 2))) {
        response.setHeader('retry-after', '1')
        throw new LilypadError('RATE_LIMITED', 'Too many requests without a key are being read.', {
          hint: 'wait a little, then go on; one with a key does not wait',
        })
      }
      held += bytes
      heldBy.set(address, ofAddress + bytes)
      let isHeld = true
      const leave = () => {
        if (!isHeld) return
        isHeld = false
        held -= bytes
        const left = (heldBy.get(address) ?? 0) - bytes
        if (left > 0) heldBy.set(address, left)
        else heldBy.delete(address)
      }
      response.locals.leaveBodyRoom = leave
      response.once('close', leave)
      next()
    },
    leave(response) {
      const leave = response.locals.leaveBodyRoom as (() => void) | undefined
      leave?.()
    },
  }
}

/** Bytes that a body may come to: what its head says, unless it is unpacked here or its end is open. */
function heldFor(headers: IncomingHttpHeaders, maxBytes: number): number {
  const { 'content-length': length, 'transfer-encoding': transfer, 'content-encoding': coding } = headers
  if (transfer !== undefined || (coding !== undefined && coding !== 'identity')) return maxBytes
  // A longer one is refused before any of it is read.
  return Math.min(maxBytes, Number(length ?? 0))
}
