import { bech32 } from '@scure/base'
import { expect, test } from 'vitest'
import type { InputSchema } from './input-schema.ts'
import { inputsDigest, parseInputs } from './inputs.ts'
import { programInputs } from './program-arguments.ts'
import { deliveredBytesLimit, findRecipient, isRecipient, recipientInput } from './recipient.ts'

const encode = (prefix: string, bytes: Uint8Array) => bech32.encodeFromBytes(prefix, bytes)
const point = new Uint8Array(32).fill(9)
const recipient = encode('age', point)
const schema: InputSchema = {
  type: 'object',
  properties: { text: { type: 'string', maxLength: 10 } },
  required: ['text'],
  additionalProperties: false,
}

test('takes a recipient of age', () => {
  expect(isRecipient(recipient)).toBe(true)
  // From the specification of age.
  expect(isRecipient('age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj')).toBe(true)
})

test.each([
  ['nothing', ''],
  ['an identity', 'AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX'],
  ['a mistyped one', recipient.replace(/.$/, (last) => (last === 'q' ? 'p' : 'q'))],
  ['capitals', recipient.toUpperCase()],
  ['another kind', encode('age1plugin', point)],
  ['31 bytes', encode('age', point.slice(1))],
  ['33 bytes', encode('age', new Uint8Array(33))],
  ['a point of low order, which all know the secret of', encode('age', new Uint8Array(32))],
  ['another one', encode('age', Uint8Array.of(1, ...new Uint8Array(31)))],
])('takes no recipient that is %s', (_name, text) => {
  expect(isRecipient(text)).toBe(false)
  expect(() => parseInputs(schema, { text: 'pond', [recipientInput]: text })).toThrow(
    expect.objectContaining({ code: 'INPUTS_INVALID' }),
  )
})

test('stands among the inputs of any module, is signed like them, and is not shown to its program', () => {
  const inputs = parseInputs(schema, { text: 'pond', [recipientInput]: recipient })
  expect(findRecipient(inputs)).toBe(recipient)
  expect(programInputs(inputs)).toEqual({ text: 'pond' })
  const plain = parseInputs(schema, { text: 'pond' })
  expect(findRecipient(plain)).toBeUndefined()
  expect(inputsDigest(inputs)).not.toBe(inputsDigest(plain))
  const other = { ...inputs, [recipientInput]: encode('age', new Uint8Array(32).fill(8)) }
  expect(inputsDigest(inputs)).not.toBe(inputsDigest(other))
  expect(() => parseInputs(schema, { text: 'pond', [recipientInput]: 5 })).toThrow('recipient')
})

test('only sealed outputs may be longer than the module says', () => {
  const limits = { outputBytes: 1_000_000, outputFiles: 2 }
  expect(deliveredBytesLimit(limits, { text: 'pond' })).toBe(1_000_000)
  expect(deliveredBytesLimit(limits, { [recipientInput]: recipient })).toBe(1_000_000 + 2 * 200 + 16 * 16)
})
