import { z } from 'zod'

const text = z.string().max(2000)
const common = { title: text.optional(), description: text.optional() }

/** A file among the inputs: in the inputs' JSON it is `{ "$file": { sha256, bytes, mediaType, name } }`. */
export const FileInputSchema = z.strictObject({
  ...common,
  type: z.literal('object'),
  format: z.literal('lilypad-file'),
  mediaTypes: z
    .array(z.string().regex(/^[a-z]+\/[a-z0-9.+-]+$/))
    .min(1)
    .max(32),
  maxBytes: z.int().min(1),
})

const StringSchema = z.strictObject({
  ...common,
  type: z.literal('string'),
  enum: z.array(text).min(1).max(256).optional(),
  const: text.optional(),
  default: text.optional(),
  minLength: z.int().min(0).optional(),
  maxLength: z.int().min(0).max(1_000_000),
})
const NumberSchema = z.strictObject({
  ...common,
  type: z.enum(['integer', 'number']),
  default: z.number().optional(),
  minimum: z.number().optional(),
  maximum: z.number().optional(),
})
const BooleanSchema = z.strictObject({ ...common, type: z.literal('boolean'), default: z.boolean().optional() })
const ScalarSchema = z.union([StringSchema, NumberSchema, BooleanSchema])
const ArraySchema = z.strictObject({
  ...common,
  type: z.literal('array'),
  items: ScalarSchema,
  minItems: z.int().min(0).optional(),
  maxItems: z.int().min(0).max(10_000),
})

/** Schema of one input. */
export const InputPropertySchema = z.union([FileInputSchema, StringSchema, NumberSchema, BooleanSchema, ArraySchema])
export type InputPropertySchema = z.output<typeof InputPropertySchema>

/** Name of an input: usable as a file name and as a placeholder. */
export const InputName = z
  .string()
  .regex(/^[a-z][a-zA-Z0-9_]{0,63}$/, 'expected a name of letters, digits and _, starting with a small letter')
  .refine((name) => !(name in Object.prototype), 'a name that every object has')

/**
 * The part of JSON Schema 2020-12 that a module's inputs may use. It has no references and no regular expressions, so
 * that checking a stranger's schema takes bounded time.
 */
export const InputSchema = z
  .strictObject({
    type: z.literal('object'),
    properties: z
      .record(InputName, InputPropertySchema)
      .refine((properties) => Object.keys(properties).length <= 64, 'more than 64 inputs')
      .refine(
        ({ inputs }) => inputs?.type !== 'object',
        'a file input cannot be named inputs: /in/inputs.json is the inputs',
      ),
    required: z.array(InputName).max(64).default([]),
    additionalProperties: z.literal(false),
  })
  .refine(({ properties, required }) => required.every((name) => Object.hasOwn(properties, name)), {
    path: ['required'],
    message: 'names an input that is not among the properties',
  })
export type InputSchema = z.output<typeof InputSchema>
