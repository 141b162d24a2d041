import { z } from 'zod'
import { sha256 } from '../crypto/hash.ts'
import { LilypadError } from '../error/lilypad-error.ts'
import { canonicalJson, isWellFormedJson, type Json } from '../primitives/canonical-json.ts'
import { Bytes32 } from '../primitives/hex.ts'
import { isRecipient, recipientInput } from './recipient.ts'
import type { InputPropertySchema, InputSchema } from './input-schema.ts'

/** A file that stands among the inputs by its digest. */
export const InputFile = z.strictObject({
  sha256: Bytes32,
  bytes: z.int().min(0),
  mediaType: z.string().max(128),
  name: z.string().max(255),
})
export type InputFile = z.output<typeof InputFile>

const FileValue = z.strictObject({ $file: InputFile })

/** Inputs of a job, and under `$recipient` whom its outputs are to be sealed to, if to anybody: scalars, lists of scalars, and files by digest. */
export const JobInputs = z
  .record(
    z.string().max(64),
    z.union([
      FileValue,
      z.string().max(1_000_000),
      z.number(),
      z.boolean(),
      z.array(z.union([z.string(), z.number(), z.boolean()])).max(10_000),
    ]),
  )
  .refine(isWellFormedJson, 'expected well-formed Unicode')
export type JobInputs = z.output<typeof JobInputs>

/** The inputs break the module's schema. `details` names the field, what was expected and what came. */
export class InputsInvalidError extends LilypadError {
  override readonly name = 'InputsInvalidError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super('INPUTS_INVALID', 'The inputs do not fit the schema of the module.', {
      details: problems.slice(0, 10),
      hint: 'correct the inputs named above; `lilypad modules show <module>` prints the schema and an example',
    })
    this.problems = problems
  }
}

/** Digest of inputs, as an order commits to them. */
export function inputsDigest(inputs: JobInputs): Bytes32 {
  return sha256(canonicalJson(inputs as Json))
}

/** Files among the inputs, by the input's name. */
export function listInputFiles(inputs: JobInputs): readonly { readonly input: string; readonly file: InputFile }[] {
  return Object.entries(inputs).flatMap(([input, value]) => {
    const parsed = FileValue.safeParse(value)
    return parsed.success ? [{ input, file: parsed.data.$file }] : []
  })
}

function quote(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 60)
  } catch {
    // A bigint, a cycle or a hostile `toJSON`: it cannot be shown, only named.
    return `a value of type ${typeof value}`
  }
}

function findProblem(name: string, schema: InputPropertySchema, value: JobInputs[string]): string | undefined {
  const expected = (what: string) => `${name}: expected ${what}, got ${quote(value)}`
  switch (schema.type) {
    case 'object': {
      const file = FileValue.safeParse(value)
      if (!file.success) return expected(`a file (${schema.mediaTypes.join(', ')})`)
      const { mediaType, bytes } = file.data.$file
      if (!schema.mediaTypes.includes(mediaType))
        return `${name}: expected a file of type ${schema.mediaTypes.join(' or ')}, got ${quote(mediaType)}`
      if (bytes > schema.maxBytes) return `${name}: expected at most ${schema.maxBytes} bytes, got ${bytes}`
      return undefined
    }
    case 'string': {
      if (typeof value !== 'string') return expected('text')
      const length = [...value].length
      if (schema.const !== undefined && value !== schema.const) return expected(quote(schema.const))
      if (schema.enum && !schema.enum.includes(value))
        return expected(`one of ${schema.enum.map(quote).join(', ').slice(0, 300)}`)
      if (length < (schema.minLength ?? 0)) return expected(`at least ${schema.minLength} characters`)
      if (length > schema.maxLength) return `${name}: expected at most ${schema.maxLength} characters, got ${length}`
      if (value.includes('\u0000')) return `${name}: expected text without NUL characters`
      if (!value.isWellFormed()) return `${name}: expected well-formed Unicode`
      return undefined
    }
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || !Number.isFinite(value)) return expected(`a ${schema.type}`)
      if (schema.type === 'integer' && !Number.isSafeInteger(value)) return expected('an integer')
      if (schema.minimum !== undefined && value < schema.minimum) return expected(`at least ${schema.minimum}`)
      if (schema.maximum !== undefined && value > schema.maximum) return expected(`at most ${schema.maximum}`)
      return undefined
    case 'boolean':
      return typeof value === 'boolean' ? undefined : expected('true or false')
    case 'array': {
      if (!Array.isArray(value)) return expected('a list')
      if (value.length < (schema.minItems ?? 0))
        return `${name}: expected at least ${schema.minItems} items, got ${value.length}`
      if (value.length > schema.maxItems)
        return `${name}: expected at most ${schema.maxItems} items, got ${value.length}`
      for (const [index, item] of value.entries()) {
        const problem = findProblem(`${name}[${index}]`, schema.items, item)
        if (problem) return problem
      }
      return undefined
    }
  }
}

/**
 * Checks inputs against a module's schema and fills in defaults.
 * @throws {@link InputsInvalidError} with every problem found
 */
export function parseInputs(schema: InputSchema, inputs: unknown): JobInputs {
  const parsed = JobInputs.safeParse(inputs)
  if (!parsed.success)
    throw new InputsInvalidError([
      `inputs: expected an object of text, numbers, booleans, lists and files, got ${quote(inputs)}`,
    ])
  const given = new Map(Object.entries(parsed.data))
  const problems: string[] = []
  const result: Record<string, JobInputs[string]> = {}
  const recipient = given.get(recipientInput)
  if (recipient !== undefined) {
    given.delete(recipientInput)
    result[recipientInput] = recipient
    if (typeof recipient !== 'string' || !isRecipient(recipient))
      problems.push(
        `${recipientInput}: expected an age recipient (age1…) to seal the outputs to, got ${quote(recipient)}`,
      )
  }
  for (const [name, property] of Object.entries(schema.properties)) {
    const fallback = 'default' in property ? property.default : undefined
    const value = given.get(name) ?? fallback
    given.delete(name)
    if (value === undefined) {
      if (schema.required.includes(name)) problems.push(`${name}: expected a value, got nothing`)
      continue
    }
    const problem = findProblem(name, property, value)
    if (problem) problems.push(problem)
    result[name] = value
  }
  // The schema of a record passes over this one name without a word.
  const prototype = Object.hasOwn(inputs as object, '__proto__') ? ['__proto__'] : []
  for (const name of [...given.keys(), ...prototype]) {
    problems.push(`${quote(name)}: no such input; the module takes ${Object.keys(schema.properties).join(', ')}`)
  }
  if (problems.length > 0) throw new InputsInvalidError(problems)
  return result
}
