import { expect, test } from 'vitest'
import { cleanJson, cleanLine, cleanText } from './clean-text.ts'

test.each([
  ['control characters', 'a\u0000b\u001b[31mc\u0007', 'ab[31mc'],
  ['zero width', 'pay\u200b me\u2060\ufeff', 'pay me'],
  ['direction overrides', 'abc\u202ecba\u2066x\u2069', 'abccbax'],
  ['tag characters', `hi${String.fromCodePoint(0xe0041, 0xe0042, 0xe007f)}`, 'hi'],
  ['variation selectors', `x\ufe0f\u{e0100}y`, 'xy'],
  ['blank letters', 'a\u3164b\u2800c\u115fd\u034fe', 'abcde'],
  ['private use', 'a\ue000b\u{f0000}c', 'abc'],
  ['lone surrogates', 'a\ud800b\udc00c', 'abc'],
  ['line separators', 'a\u2028b\u2029c', 'abc'],
  ['carriage returns', 'a\r\nb\rc', 'a\nb\nc'],
  ['ordinary text of the world', 'naïve 日本語 Ελλάδα 😀\tx\n', 'naïve 日本語 Ελλάδα 😀\tx\n'],
])('%s', (_what, text, shown) => expect(cleanText(text, 100)).toBe(shown))

test('cuts, and says so', () => {
  expect(cleanText('abcdef', 3)).toBe('abc…')
  expect(cleanText('😀😀', 3)).toBe('😀…')
  expect(cleanText('abc', 3)).toBe('abc')
  expect(cleanText(`${'\u200b'.repeat(100)}abc`, 10)).toBe('…')
})

test('a line is one line', () => expect(cleanLine('a\n\nb\tc', 100)).toBe('a b c'))

test('cleans JSON in names, texts, lists and depth', () => {
  const deep = { a: { a: { a: { a: { a: { a: { a: 1 } } } } } } }
  expect(
    cleanJson({ 'n\u200bame': ['x\u0000', 1, true, null, 2n], long: 'y'.repeat(50) }, { text: 5, items: 10 }),
  ).toEqual({
    name: ['x', 1, true, null, '2'],
    long: 'yyyyy…',
  })
  expect(cleanJson([1, 2, 3], { text: 5, items: 2 })).toEqual([1, 2])
  expect(JSON.stringify(cleanJson(deep, { text: 5, items: 2 }))).toContain('…')
})
