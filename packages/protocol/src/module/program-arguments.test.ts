import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sample } from '../../test/sample-manifest.ts'
import { inputFileName, programArguments, programInputs } from './program-arguments.ts'

const schema = sample.inputs
const png = { $file: { sha256: `0x${'ab'.repeat(32)}`, bytes: 1, mediaType: 'image/png', name: '../../x' } } as const
const fill = (args: readonly string[], inputs: Parameters<typeof programArguments>[2]) =>
  programArguments(args, schema, inputs)

describe('programArguments', () => {
  test('each placeholder becomes one argument', () => {
    expect(
      fill(['sample', '{text}', '{count}', '{loud}', '{tags}', '{image}', '{ratio}'], {
        text: 'two words',
        count: 3,
        loud: false,
        tags: ['a', 'b'],
        image: png,
      }),
    ).toEqual(['sample', 'two words', '3', 'false', '["a","b"]', '/in/image.png', ''])
  })

  test('a value that looks like a placeholder is not filled in again', () => {
    expect(fill(['{text}', '{voice}'], { text: '{voice}', voice: '{text}' })).toEqual(['{voice}', '{text}'])
  })

  test('a placeholder inside an argument, or of an input that is not there, stays as it is', () => {
    const args = [
      '--text={text}',
      '{text} {voice}',
      '{nobody}',
      '{Text}',
      '{}',
      '{{text}}',
      '{__proto__}',
      '{constructor}',
    ]
    expect(fill(args, { text: 'x' })).toEqual(args)
  })

  test('any text comes out whole, in its own place', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.constantFrom('-rf', '--', '; rm', '$(id)', '\n', '')), (text) => {
        expect(fill(['a', '{text}', '{voice}', 'z'], { text, voice: 'kal' })).toEqual(['a', text, 'kal', 'z'])
      }),
    )
  })
})

test('the name of a file input comes from us, never from the requester', () => {
  expect(inputFileName('image', 'image/png')).toBe('image.png')
  expect(inputFileName('image', 'application/x-unknown')).toBe('image.bin')
  for (const name of ['__proto__', 'constructor', 'toString'])
    expect(inputFileName('image', name)).toMatch(/^image\.[a-z0-9]+$/)
})

test('a program reads paths where the inputs had files', () => {
  expect(programInputs({ text: 'a', tags: ['b'], image: png })).toEqual({
    text: 'a',
    tags: ['b'],
    image: { path: '/in/image.png' },
  })
})
