import { LilypadError } from '@lilypad-agents/protocol'

const maxBytes = 256 * 1024
const timeoutMilliseconds = 5000

/** The authorization server did not answer as it should. */
export class IssuerUnreachableError extends LilypadError {
  override readonly name = 'IssuerUnreachableError'
  constructor(url: string, reason: string, cause?: unknown) {
    super('TIMED_OUT', 'The authorization server cannot be asked now.', {
      details: [`URL: ${url}   Reason: ${reason}`],
      hint: 'try again in a few seconds; if it stays, the owner checks --oauth-issuer',
      cause,
    })
  }
}

/**
 * Fetches a small document of the authorization server: no redirects, so that nobody but hosts the owner has named is asked, with a
 * bound on time and bytes, and without anything of ours in the request.
 * @throws {@link IssuerUnreachableError}
 */
export async function fetchIssuer(url: string): Promise<Response> {
  try {
    const response = await fetch(url, {
      redirect: 'error',
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(timeoutMilliseconds),
    })
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length
      if (bytes > maxBytes) throw new Error(`more than ${maxBytes} bytes`)
      chunks.push(chunk)
    }
    return new Response(Buffer.concat(chunks), {
      status: response.status,
      headers: { 'content-type': 'application/json' },
    })
  } catch (error) {
    throw new IssuerUnreachableError(url, error instanceof Error ? error.message.slice(0, 100) : 'unknown', error)
  }
}
