import { fromBase64, type StreamChunk } from '@lilypad-agents/protocol'

const keptCharacters = 16_000

/** The end of what a program wrote. Texts are the program's: data, to be cleaned before they are shown. */
export type LogTail = {
  /** Takes the next chunk of the job's stream. Returns whether the text is another one now. */
  take(chunk: StreamChunk): boolean
  readonly text: string
  /** Where the stream goes on. */
  readonly place: { readonly attempt: number; readonly chunks: number }
}

/** Keeps the end of a log. A job that is begun again starts anew: what the broken run wrote would mislead. */
export function createLogTail(): LogTail {
  const newDecoders = () => ({ stdout: new TextDecoder(), stderr: new TextDecoder(), response: new TextDecoder() })
  let decoders = newDecoders()
  let text = ''
  let place = { attempt: 0, chunks: 0 }
  return {
    take(chunk) {
      const { attempt, index } = chunk
      const isNewRun = attempt !== place.attempt
      if (isNewRun) {
        decoders = newDecoders()
        text = ''
      }
      place = { attempt, chunks: index + 1 }
      if (chunk.channel === 'file') return isNewRun
      const written = decoders[chunk.channel].decode(fromBase64(chunk.data), { stream: true })
      text = (text + written).slice(-keptCharacters)
      return true
    },
    get text() {
      return text
    },
    get place() {
      return place
    },
  }
}
