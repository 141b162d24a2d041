import { LilypadError } from '@lilypad-agents/protocol'
import { quoteForeign } from '../../log/quote-foreign.ts'

/** A model server did not become ready. */
export class ServerStartError extends LilypadError {
  override readonly name = 'ServerStartError'
  constructor(options: {
    readonly reason: string
    readonly image: string
    readonly tail: string
    readonly cause?: unknown
  }) {
    super('EXECUTOR_UNAVAILABLE', 'The model server did not become ready.', {
      details: [
        `Reason: ${options.reason}`,
        `Image: ${options.image}`,
        `Its last words: ${quoteForeign(options.tail.slice(-600), 600)}`,
      ],
      hint: 'look at what it wrote last; it has to listen on the socket named by LILYPAD_SOCKET and to answer its readyPath with 200',
      cause: options.cause,
    })
  }
}
