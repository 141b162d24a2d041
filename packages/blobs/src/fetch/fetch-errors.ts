import { LilypadError } from '@lilypad-agents/protocol'

/** What may be shown of a foreign URL: scheme and host, without path, query and credentials, which may be secrets. */
export function quoteUrl(url: string | URL): string {
  const parsed = URL.parse(String(url))
  return JSON.stringify(parsed === null ? 'not a URL' : `${parsed.protocol}//${parsed.host}`.slice(0, 200))
}

/** A URL of others leads to this machine or a private network. */
export class AddressNotAllowedError extends LilypadError {
  override readonly name = 'AddressNotAllowedError'
  constructor(url: string | URL, reason: string) {
    super('ADDRESS_NOT_ALLOWED', 'The address is not one that may be fetched from.', {
      details: [`URL: ${quoteUrl(url)}`, `Reason: ${reason}`],
      hint: 'use an https address on the public internet',
    })
  }
}

/** A server that was fetched from does not answer, or not with what was asked for. */
export class FetchFailedError extends LilypadError {
  override readonly name = 'FetchFailedError'
  readonly status: number | undefined
  constructor(
    url: string | URL,
    facts: { readonly status?: number; readonly reason?: string; readonly cause?: unknown },
  ) {
    const { status, reason = status === undefined ? 'no answer' : `status ${status}`, cause } = facts
    const isPassing = status === undefined || status >= 500 || status === 429
    super(isPassing ? 'OUTPUT_UNAVAILABLE' : 'NOT_FOUND', 'The content could not be fetched from its address.', {
      details: [`URL: ${quoteUrl(url)}`, `Reason: ${reason}`],
      hint: isPassing ? 'try again later' : 'ask for a new address; this one may have expired',
      retryable: isPassing,
      ...(cause === undefined ? {} : { cause }),
    })
    this.status = status
  }
}
