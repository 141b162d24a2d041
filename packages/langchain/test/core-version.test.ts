import { readFileSync } from 'node:fs'
import { BaseChatModel } from '@langchain/core/language_models/chat_models'
import { BaseChatModel as LowestChatModel } from 'core-lowest/language_models/chat_models'
import { expect, test } from 'vitest'
import { ChatLilypad } from '../src/index.ts'

// `vitest.lowest.config.ts` names the version that it puts in the place of the newest.
const lowest = process.env.CORE_VERSION

test('the package stands on the core that these tests are said to run on, the lowest or the newest of its range', () => {
  expect(Object.getPrototypeOf(ChatLilypad)).toBe(BaseChatModel)
  expect(Object.is(BaseChatModel, LowestChatModel)).toBe(lowest !== undefined)
  const { peerDependencies, devDependencies } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  )
  expect(peerDependencies['@langchain/core']).toBe('^1.2.13')
  expect(devDependencies).toMatchObject({ '@langchain/core': '1.4.0', 'core-lowest': 'npm:@langchain/core@1.2.13' })
  expect(lowest ?? '1.2.13').toBe('1.2.13')
})
