import { z } from 'zod'
import type { Format, JsonObject, Part } from '../conversation/conversation.ts'

// Requests are read tolerantly: fields that are not known are passed over, as clients expect; null is as if left out.

export const ModelId = z.string().min(1).max(200)
export const JsonSchema = z.record(z.string(), z.unknown())
export const ToolName = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,128}$/, 'expected 1 to 128 letters, digits, and any of _ . : -')
export const CallId = z.string().min(1).max(256)
export const MaxTokens = z.int().min(1).max(10_000_000).nullish()
export const Temperature = z.number().min(0).max(2).nullish()
export const TopP = z.number().min(0).max(1).nullish()
export const maxMessages = 10_000
export const maxTools = 256

/** A picture in the request itself. The gateway fetches nothing on behalf of others. */
export const ImageUrl = z
  .string()
  .regex(
    /^data:image\/(png|jpeg|webp|gif);base64,[A-Za-z0-9+/]+=*$/,
    'expected a data: URL of a PNG, JPEG, WebP or GIF in Base64; pictures at other addresses are not fetched',
  )

export const textPart = (text: string): Part => ({ kind: 'text', text })
export const orUndefined = <T>(value: T | null | undefined): T | undefined => value ?? undefined

/** `format` of a reply by the fields that two dialects share. */
export function toFormat(
  format:
    | { readonly type: 'text' | 'json_object' }
    | {
        readonly type: 'json_schema'
        readonly name: string
        readonly description?: string | null | undefined
        readonly schema?: JsonObject | null | undefined
        readonly strict?: boolean | null | undefined
      }
    | null
    | undefined,
): Format {
  switch (format?.type) {
    case undefined:
    case 'text':
      return { kind: 'text' }
    case 'json_object':
      return { kind: 'json' }
    case 'json_schema': {
      const { name, description, schema, strict } = format
      return {
        kind: 'schema',
        name,
        description: orUndefined(description),
        schema: schema ?? {},
        strict: orUndefined(strict),
      }
    }
  }
}
