import { LilypadError } from '@lilypad-agents/protocol'

/** What arrived is not what was named. */
export class BlobMismatchError extends LilypadError {
  override readonly name = 'BlobMismatchError'
  constructor(options: { readonly expected: string; readonly actual: string }) {
    super('DIGEST_MISMATCH', 'The bytes are not the ones named by their digest.', {
      details: [`Expected: ${options.expected}   Actual: ${options.actual}`],
      hint: 'send the whole file whose SHA-256 is named',
    })
  }
}

/** More bytes came than may come. */
export class BlobTooLargeError extends LilypadError {
  override readonly name = 'BlobTooLargeError'
  constructor(maxBytes: number) {
    super('PAYLOAD_TOO_LARGE', 'The file is larger than allowed here.', {
      details: [`Expected: at most ${maxBytes} bytes`],
    })
  }
}

/** The quota is taken by content that jobs still need, or the disk is full. */
export class StorageFullError extends LilypadError {
  override readonly name = 'StorageFullError'
  constructor(facts: { readonly neededBytes: number; readonly quotaBytes: number; readonly cause?: unknown }) {
    super('STORAGE_FULL', 'There is no room for more files now.', {
      details: [`Expected: ${facts.neededBytes} bytes more   Quota: ${facts.quotaBytes} bytes`],
      hint: 'try again later; the operator can raise the quota of the store',
      ...(facts.cause === undefined ? {} : { cause: facts.cause }),
    })
  }
}

/** A sender went silent or hung up before all of it had come. */
export class TransferCutError extends LilypadError {
  override readonly name = 'TransferCutError'
  constructor(cause?: unknown) {
    super('TIMED_OUT', 'The transfer ended before the whole file had come.', {
      hint: 'send the file again',
      ...(cause === undefined ? {} : { cause }),
    })
  }
}
