import { expect, test } from 'vitest'
import { moduleManifest } from '../../test/fixtures.ts'
import { searchModules } from './search-modules.ts'

const module = (name: string, summary: string) => ({
  manifest: { ...moduleManifest, name, title: name, summary, description: '' },
})
const modules = [
  module('tts', 'speaks a text'),
  module('ocr', 'reads the text of a picture'),
  module('zip', 'packs files'),
]
const names = (query: string) => searchModules(modules, query).map(({ manifest }) => manifest.name)

test.each([
  ['', ['ocr', 'tts', 'zip']],
  ['text', ['ocr', 'tts']],
  ['picture text', ['ocr', 'tts']],
  ['TTS', ['tts']],
  ['(.*)+$', ['ocr', 'tts', 'zip']],
  ['zebra', []],
])('searching %j finds %j', (query, expected) => {
  expect(names(query)).toEqual(expected)
})
