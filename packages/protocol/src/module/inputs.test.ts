import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { foreignJson, prototypeNames } from '../../test/arbitraries.ts'
import { sample } from '../../test/sample-manifest.ts'
import { canonicalJson, type Json } from '../primitives/canonical-json.ts'
import { inputUnits } from './input-units.ts'
import { inputsDigest, InputsInvalidError, listInputFiles, parseInputs } from './inputs.ts'

const schema = sample.inputs
const defaults = { voice: 'kal', count: 3, loud: false }
const png = { $file: { sha256: `0x${'ab'.repeat(32)}`, bytes: 10, mediaType: 'image/png', name: 'a.png' } } as const

function problemsOf(inputs: unknown): readonly string[] {
  try {
    parseInputs(schema, inputs)
    return []
  } catch (error) {
    if (!(error instanceof InputsInvalidError)) throw error
    expect(error).toMatchObject({ code: 'INPUTS_INVALID', charged: 'none', retryable: false })
    return error.problems
  }
}

describe('parseInputs', () => {
  test('fills in defaults and leaves out what has none', () => {
    expect(parseInputs(schema, { text: 'hello' })).toEqual({ text: 'hello', ...defaults })
  })

  test('keeps what is given, in the order of the schema', () => {
    const given = { image: png, tags: ['a', 'b'], loud: true, ratio: 0.5, count: 9, voice: 'slt', text: 'é'.repeat(20) }
    expect(parseInputs(schema, given)).toEqual(given)
    expect(Object.keys(parseInputs(schema, given))).toEqual(Object.keys(schema.properties))
  })

  test('given again what came out, gives the same', () => {
    const once = parseInputs(schema, { text: 'hello', image: png })
    expect(canonicalJson(parseInputs(schema, once) as Json)).toBe(canonicalJson(once as Json))
  })

  test.each<[string, unknown, string]>([
    ['nothing', {}, 'text: expected a value, got nothing'],
    ['a number for text', { text: 1 }, 'text: expected text, got 1'],
    ['short text', { text: '' }, 'text: expected at least 1 characters, got ""'],
    ['long text', { text: 'a'.repeat(21) }, 'text: expected at most 20 characters, got 21'],
    ['long text of emoji', { text: '😀'.repeat(21) }, 'text: expected at most 20 characters, got 21'],
    ['NUL', { text: 'a\u0000' }, 'text: expected text without NUL characters'],
    ['a value not listed', { text: 'a', voice: 'x' }, 'voice: expected one of "kal", "slt", got "x"'],
    ['a fraction', { text: 'a', count: 1.5 }, 'count: expected an integer, got 1.5'],
    ['a number that is not exact', { text: 'a', count: 2 ** 53 }, 'count: expected an integer, got 9007199254740992'],
    ['too little', { text: 'a', count: 0 }, 'count: expected at least 1, got 0'],
    ['too much', { text: 'a', ratio: 1.01 }, 'ratio: expected at most 1, got 1.01'],
    ['text for a number', { text: 'a', ratio: '1' }, 'ratio: expected a number, got "1"'],
    ['text for a boolean', { text: 'a', loud: 'true' }, 'loud: expected true or false, got "true"'],
    ['no list', { text: 'a', tags: 'a' }, 'tags: expected a list, got "a"'],
    ['an empty list', { text: 'a', tags: [] }, 'tags: expected at least 1 items, got 0'],
    ['a long list', { text: 'a', tags: ['a', 'b', 'c', 'd'] }, 'tags: expected at most 3 items, got 4'],
    ['a wrong item', { text: 'a', tags: ['a', 2] }, 'tags[1]: expected text, got 2'],
    ['text for a file', { text: 'a', image: 'a.png' }, 'image: expected a file (image/png, image/jpeg), got "a.png"'],
    [
      'a file of another type',
      { text: 'a', image: { $file: { ...png.$file, mediaType: 'image/gif' } } },
      'image: expected a file of type image/png or image/jpeg, got "image/gif"',
    ],
    [
      'a large file',
      { text: 'a', image: { $file: { ...png.$file, bytes: 1001 } } },
      'image: expected at most 1000 bytes, got 1001',
    ],
    [
      'a name the module does not have',
      { text: 'a', Text: 'b' },
      '"Text": no such input; the module takes text, voice, count, ratio, loud, tags, image',
    ],
  ])('names %s', (_, inputs, problem) => expect(problemsOf(inputs)).toEqual([problem]))

  test('names every problem at once', () => {
    expect(problemsOf({ voice: 1, count: 'x', nobody: 1 })).toHaveLength(4)
  })

  test.each<[string, unknown]>([
    ['null', null],
    ['a list', []],
    ['text', 'text'],
    ['a member that is null', { text: null }],
    ['a member that is an object', { text: {} }],
    ['NaN', { ratio: Number.NaN }],
    ['a lone surrogate', { text: '\ud800' }],
    ['a lone surrogate in a file name', { image: { $file: { ...png.$file, name: '\udc00' } } }],
    ['a bigint, which had been a crash', { text: 1n }],
    [
      'a value that refuses to be shown',
      {
        toJSON: () => {
          throw new Error('no')
        },
      },
    ],
    ['a file that says more', { text: 'a', image: { $file: { ...png.$file, url: 'file:///etc/passwd' } } }],
  ])('refuses %s', (_, inputs) => expect(problemsOf(inputs).length).toBeGreaterThan(0))

  test.each(prototypeNames)('refuses an input named %s, which had been passed over in silence', (name) => {
    const inputs = JSON.parse(`{"text":"a","${name}":"b"}`) as unknown
    expect(problemsOf(inputs)[0]).toContain(`"${name}": no such input`)
  })

  test.each(prototypeNames)('does not take %s of the prototype for a given value', (name) => {
    const strange = { ...schema, properties: { [name]: { type: 'string' as const, maxLength: 5 } }, required: [name] }
    expect(() => parseInputs(strange, {})).toThrow(InputsInvalidError)
  })

  test('throws only its own error, and shows at most a little of what it got', () => {
    fc.assert(
      fc.property(foreignJson, (value) => {
        for (const problem of problemsOf(value)) expect(problem.length).toBeLessThan(400)
      }),
      { numRuns: 500 },
    )
  })
})

test('the digest depends on every value and not on the order', () => {
  const one = inputsDigest({ a: 1, b: 'x' })
  expect(inputsDigest({ b: 'x', a: 1 })).toBe(one)
  expect(inputsDigest({ a: 2, b: 'x' })).not.toBe(one)
  expect(inputsDigest({ a: 1, b: 'y' })).not.toBe(one)
  expect(inputsDigest({})).toBe('0x44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a')
})

test('files are found by the name of their input', () => {
  expect(listInputFiles({ text: 'a', image: png, tags: ['$file'] })).toEqual([{ input: 'image', file: png.$file }])
})

test('input units are recomputed from the inputs alone', () => {
  const inputs = { text: 'é😀a', image: png }
  expect(inputUnits({ kind: 'none' }, inputs)).toBe(0)
  expect(inputUnits({ kind: 'string-length', property: 'text' }, inputs)).toBe(3)
  expect(inputUnits({ kind: 'file-bytes', property: 'image' }, inputs)).toBe(10)
  expect(inputUnits({ kind: 'string-length', property: 'image' }, inputs)).toBe(0)
  expect(inputUnits({ kind: 'file-bytes', property: 'text' }, inputs)).toBe(0)
  expect(inputUnits({ kind: 'string-length', property: 'absent' }, inputs)).toBe(0)
})
