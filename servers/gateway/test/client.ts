/** What a client of another maker tells of a reply. */
export type ClientReply = { readonly tokens: number | undefined; readonly job?: unknown }

/** A client of another maker, by what the matrix asks of each. */
export type Client = {
  chat(key: string, content: string): Promise<ClientReply & { readonly text: string }>
  stream(key: string, content: string): Promise<ClientReply & { readonly pieces: readonly string[] }>
  /** Name and arguments of the call that the reply to {@link toolCall} is. */
  tool(key: string): Promise<readonly [string, unknown]>
  /** The object that a reply in the form of {@link schema} is. */
  schema?(key: string, content: string): Promise<unknown>
  /** What is said to {@link countPictures} and a picture. */
  vision?(key: string): Promise<string>
  embed?(key: string, text: string): Promise<readonly number[]>
  models?(key: string): Promise<readonly string[]>
  statusOf(error: unknown): number | undefined
}

export const schema = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
} as const

/** Makes the test model call a tool. */
export const toolCall = '!call look {"city":"pond"}'
/** Makes the test model say how many pictures it was shown. */
export const countPictures = '!pictures'
/** One pixel, as Base64 of a PNG. */
export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
export const user = (content: string) => [{ role: 'user' as const, content }]
export const jobOf = (value: unknown) => (value as { lilypad?: { job_id?: string } } | undefined)?.lilypad?.job_id

type Failure = {
  readonly status?: number
  readonly statusCode?: number
  readonly cause?: unknown
  readonly lastError?: unknown
}
export function statusOf(error: unknown): number | undefined {
  const { status, statusCode } = (error ?? {}) as Failure
  return status ?? statusCode
}
