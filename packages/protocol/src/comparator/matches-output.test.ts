import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Comparator } from '../module/module-manifest.ts'
import { matchesOutput } from './matches-output.ts'

const utf8 = new TextEncoder()
const exact: Comparator = { name: 'exact' }
const numeric: Comparator = { name: 'json-numeric', digits: 2 }
const compare = (comparator: Comparator, a: string, b: string) =>
  matchesOutput(comparator, utf8.encode(a), utf8.encode(b))

describe('exact', () => {
  test('same bytes and no others', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(matchesOutput(exact, a, a.slice())).toBe(true)
        expect(matchesOutput(exact, a, b)).toBe(Buffer.compare(a, b) === 0)
      }),
    )
    expect(compare(exact, '{"a":1}', '{"a": 1}')).toBe(false)
  })
})

describe('json-numeric', () => {
  test.each<[string, string, string]>([
    ['white space and order', '{"a":1,"b":[2]}', '{ "b": [2.0], "a": 1 }'],
    ['a number that is close', '{"a":[0.5]}', '{"a":[0.509]}'],
    ['the same bytes, JSON or not', 'not json', 'not json'],
    ['nulls', '[null,true,"a"]', '[null, true, "a"]'],
  ])('takes %s', (_, a, b) => {
    expect(compare(numeric, a, b)).toBe(true)
    expect(compare(numeric, b, a)).toBe(true)
  })

  test.each<[string, string, string]>([
    ['a number that is too far', '0.5', '0.52'],
    ['other text', '"a"', '"b"'],
    ['text for a number', '1', '"1"'],
    ['a member more', '{"a":1}', '{"a":1,"b":2}'],
    ['a member under another name', '{"a":1}', '{"b":1}'],
    ['an item more', '[1]', '[1,1]'],
    ['a list for an object', '["a"]', '{"0":"a"}'],
    ['an empty list for an empty object', '[]', '{}'],
    ['null for an object', 'null', '{}'],
    ['null for false', 'null', 'false'],
    ['a member that every object has', '{"constructor":1}', '{"toString":1}'],
    ['a prototype', '{"__proto__":{"a":1}}', '{}'],
    ['numbers without end', '1e999', '-1e999'],
    ['what is not JSON', '{"a":1}', '{"a":1'],
    ['nothing', '1', ''],
  ])('refuses %s', (_, a, b) => {
    expect(compare(numeric, a, b)).toBe(false)
    expect(compare(numeric, b, a)).toBe(false)
  })

  test('bytes that are no text, and lists without end, are refused and not a crash', () => {
    expect(matchesOutput(numeric, new Uint8Array([0xff]), utf8.encode('1'))).toBe(false)
    const deep = '['.repeat(200_000)
    expect(compare(numeric, deep, `${deep} `)).toBe(false)
  })

  test('is true of a value and itself, whatever the value', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        (value) => void expect(compare(numeric, JSON.stringify(value), JSON.stringify(value, null, 1))).toBe(true),
      ),
    )
  })
})
