import { once } from 'node:events'
import type { Response } from 'express'

/** Server-sent events on a response. The head is sent with the first of them, so that what fails before has a status of its own. */
export class EventStream {
  readonly #response: Response
  readonly #slowReaderMilliseconds: number
  readonly #timer: NodeJS.Timeout

  constructor(response: Response, rules: { readonly keepAliveSeconds: number; readonly slowReaderSeconds: number }) {
    this.#response = response
    this.#slowReaderMilliseconds = rules.slowReaderSeconds * 1000
    // While a model starts, comments keep proxies and clients waiting.
    this.#timer = setInterval(() => {
      if (response.writable && !response.writableNeedDrain) this.#write(': keep-alive\n\n')
    }, rules.keepAliveSeconds * 1000)
    this.#timer.unref()
    response.once('close', () => clearInterval(this.#timer))
  }

  /** Whether the head was sent, so that only an event can tell of an error. */
  get isOpen(): boolean {
    return this.#response.headersSent
  }

  /** Sends text and waits until the reader has room. One that takes nothing for too long is cut off. */
  async send(text: string): Promise<void> {
    if (text === '' || !this.#response.writable) return
    this.#timer.refresh()
    if (this.#write(text)) return
    const signal = AbortSignal.timeout(this.#slowReaderMilliseconds)
    await Promise.race([once(this.#response, 'drain', { signal }), once(this.#response, 'close', { signal })]).catch(
      () => this.#response.destroy(),
    )
  }

  end(): void {
    clearInterval(this.#timer)
    this.#response.end()
  }

  /** Stops the comments; the response is another's to end. */
  release(): void {
    clearInterval(this.#timer)
  }

  #write(text: string): boolean {
    if (!this.#response.headersSent) {
      this.#response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        // Proxies must not keep tokens back.
        'x-accel-buffering': 'no',
      })
    }
    return this.#response.write(text)
  }
}
