import { expect, test } from 'vitest'
import { windowsOf } from './window.ts'

const at = (text: string) => windowsOf(Date.parse(text) / 1000)

test.each([
  ['1970-01-01T00:00:00Z', { day: 0, month: 0 }],
  ['1970-12-31T23:59:59Z', { day: 364, month: 11 }],
  ['2024-02-29T23:59:59Z', { day: 19_782, month: 649 }],
  ['2024-03-01T00:00:00Z', { day: 19_783, month: 650 }],
])('%s', (text, windows) => expect(at(text)).toEqual(windows))
