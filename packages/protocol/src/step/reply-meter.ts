import { findServerUsage, type ServerUsage } from '../module/server-usage.ts'

/** Longest line of a reply that is looked at. */
const maxLineLength = 1024 ** 2
const textFields = ['content', 'refusal', 'reasoning_content', 'reasoning'] as const

/**
 * Counts the units of a streamed chat reply while it comes, the same at the provider and at the requester, since both count the same
 * bytes: a piece of text is one unit, as model servers send a token at a time. What the server itself reports counts where there are as
 * many characters of text as it says units. Anything that is no event of such a reply counts nothing.
 */
export class ReplyMeter {
  readonly #decoder = new TextDecoder()
  #rest = ''
  #isTooLong = false
  #pieces = 0
  #characters = 0
  #reported: ServerUsage = { inputUnits: 0, outputUnits: 0 }

  /** Takes the next bytes of the reply. */
  add(bytes: Uint8Array): void {
    // Only what is new is searched: a long line may come in pieces of one byte.
    const [first = '', ...others] = this.#decoder.decode(bytes, { stream: true }).split('\n')
    this.#extend(first)
    for (const line of others) {
      if (this.#rest.startsWith('data:')) this.#addEvent(this.#rest.slice(5))
      this.#rest = ''
      this.#isTooLong = false
      this.#extend(line)
    }
  }

  /** Units counted so far; they never fall. */
  get units(): ServerUsage {
    const { inputUnits, outputUnits } = this.#reported
    return { inputUnits, outputUnits: Math.max(this.#pieces, Math.min(outputUnits, this.#characters)) }
  }

  /** Of a line that is too long nothing counts, however it is cut. */
  #extend(text: string): void {
    this.#isTooLong ||= this.#rest.length + text.length > maxLineLength
    this.#rest = this.#isTooLong ? '' : this.#rest + text
  }

  #addEvent(data: string): void {
    const event = parseFields(data)
    if (event === undefined) return
    const choices: readonly unknown[] = Array.isArray(event.choices) ? event.choices : []
    for (const choice of choices) {
      const characters = textLength(choice)
      if (characters > 0) this.#pieces += 1
      this.#characters += characters
    }
    const usage = findServerUsage(event)
    if (usage === undefined) return
    this.#reported = {
      inputUnits: Math.max(this.#reported.inputUnits, usage.inputUnits),
      outputUnits: Math.max(this.#reported.outputUnits, usage.outputUnits),
    }
  }
}

type Fields = Readonly<Record<string, unknown>>
const asFields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})

function parseFields(text: string): Fields | undefined {
  try {
    return asFields(JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Length of the text that an event adds to a choice, in characters. */
function textLength(choice: unknown): number {
  const delta = asFields(asFields(choice).delta)
  const lengthOf = (value: unknown) => (typeof value === 'string' ? value.length : 0)
  const calls: readonly unknown[] = Array.isArray(delta.tool_calls) ? delta.tool_calls : []
  const ofCalls = calls.reduce((sum: number, call) => {
    const called = asFields(asFields(call).function)
    return sum + lengthOf(called.name) + lengthOf(called.arguments)
  }, 0)
  return textFields.reduce((sum, name) => sum + lengthOf(delta[name]), ofCalls)
}
