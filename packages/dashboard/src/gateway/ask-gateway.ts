import type { z } from 'zod'
import { GatewayError, toGatewayError } from './gateway-error.ts'

export type Ask = {
  /** API key of the account; left out for what is open to everybody. */
  readonly key?: string | undefined
  readonly body?: unknown
  /** Most the request may cost, in LILY. */
  readonly maxPrice?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Sends a request to the gateway that this page came from.
 * @throws GatewayError when it refuses or cannot be reached, and what the signal aborts with
 */
export async function send(path: string, { key, body, maxPrice, signal }: Ask = {}): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(maxPrice ? { 'x-lilypad-max-price': maxPrice } : {}),
      },
      credentials: 'omit',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
  } catch (cause) {
    signal?.throwIfAborted()
    throw new GatewayError(String(cause), { status: 0 })
  }
  if (response.ok) return response
  const text = await response.text().catch(() => '')
  throw toGatewayError(parseJson(text), response.status, response.headers.get('retry-after'))
}

/** Asks for JSON of a known form. @throws GatewayError also when it has another form */
export async function ask<S extends z.ZodType>(path: string, schema: S, options: Ask = {}): Promise<z.output<S>> {
  const response = await send(path, options)
  const parsed = schema.safeParse(parseJson(await response.text()))
  if (parsed.success) return parsed.data
  throw new GatewayError(`The answer of ${path} has a form that this page does not know.`, { status: response.status })
}

/** Undefined when the text is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
