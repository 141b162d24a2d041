import { z } from 'zod'

const Chunk = z.object({
  choices: z
    .array(
      z.object({
        index: z.literal(0),
        delta: z.strictObject({ role: z.string().optional(), content: z.string().nullish() }),
      }),
    )
    .max(1),
})

/**
 * Turns the events of a streamed chat completion, as they come, into the text of the reply. What is nothing of the kind (another body,
 * calls of tools, several choices) stays as it is. `end` gives what came after the last line break.
 */
export function createChatText(): { push(text: string): string; end(): string } {
  let rest = ''
  let isStream = false
  const readLine = (line: string): string => {
    if (!line.startsWith('data: ')) return isStream && line.trim() === '' ? '' : `${line}\n`
    isStream = true
    if (line.trim() === 'data: [DONE]') return '\n'
    try {
      return Chunk.parse(JSON.parse(line.slice('data: '.length))).choices[0]?.delta.content ?? ''
    } catch {
      return `${line}\n`
    }
  }
  return {
    push(text) {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      return lines.map(readLine).join('')
    },
    end() {
      const text = rest
      rest = ''
      return text
    },
  }
}
