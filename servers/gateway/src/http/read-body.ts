import { createHash } from 'node:crypto'
import { json, type RequestHandler, type Response } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'

/** Levels of a body; what comes after goes down them by recursion, and nothing that is asked for comes near it. */
const maxDepth = 100

/** SHA-256 of path and body of a request: the same again is a repeat. */
export function digestOf(response: Response): string {
  return String(response.locals.digest)
}

const maxIdempotencyKey = 255

/** @throws LilypadError INVALID_REQUEST for a key that is empty or too long */
export function assertIdempotencyKey(key: string | undefined): string | undefined {
  if (key === '' || (key?.length ?? 0) > maxIdempotencyKey)
    throw new LilypadError('INVALID_REQUEST', `An idempotency key has 1 to ${maxIdempotencyKey} characters.`)
  return key
}

/** Reads a JSON body up to a size and a depth. */
export function readBody(options: { readonly maxBytes: number }): readonly RequestHandler[] {
  return [
    json({
      limit: options.maxBytes,
      verify: (request, response, body) => {
        const path = request.url?.split('?', 1)[0] ?? ''
        // Express gives its own response here.
        const { locals } = response as Response
        locals.digest = createHash('sha256').update(`${path}\n`).update(body).digest('hex')
      },
    }),
    (request, _response, next) => {
      if (request.body === undefined)
        throw new LilypadError('INVALID_REQUEST', 'The body of the request is not JSON.', {
          hint: 'send JSON with `content-type: application/json`',
        })
      if (isDeeperThan(request.body, maxDepth))
        throw new LilypadError('INVALID_REQUEST', 'The body of the request is nested too deeply.', {
          hint: `use at most ${maxDepth} levels`,
        })
      next()
    },
  ]
}

function isDeeperThan(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some((item) => isDeeperThan(item, depth - 1))
}
