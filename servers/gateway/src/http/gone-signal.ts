import type { Response } from 'express'

/** Aborts when the client leaves before its answer has ended, and when the gateway cuts the answer off. */
export function goneSignal(response: Response): AbortSignal {
  const gone = new AbortController()
  const leave = () => gone.abort(new DOMException('the client has left', 'AbortError'))
  if (response.destroyed) leave()
  else response.once('close', leave)
  return gone.signal
}
