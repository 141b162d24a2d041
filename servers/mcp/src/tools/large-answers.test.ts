import { type ModuleListing, ModuleManifest } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { sampleModule } from '../../../../packages/sdk/test/sample-bundle.ts'
import { countTokens } from '../../test/tokens.ts'
import { createLogger } from '../log/logger.ts'
import type { ToolContext } from '../tool/tool-context.ts'
import { getModule } from './get-module.ts'
import { searchModules } from './search-modules.ts'

const words = (length: number) => 'ordinary words of a stranger, again and again; '.repeat(length).slice(0, length)
const token = `0x${'70'.repeat(20)}` as const

/** A module that uses every bound of its manifest. */
function createListing(index: number): ModuleListing {
  const properties = Object.fromEntries(
    Array.from({ length: 30 }, (_, number) => [
      `input_number_${number}`,
      {
        type: 'string',
        maxLength: 100,
        description: words(300),
        enum: Array.from({ length: 20 }, (_each, at) => `choice ${at}`),
      },
    ]),
  )
  const manifest = ModuleManifest.parse({
    ...JSON.parse(JSON.stringify(sampleModule, (_key, value) => (typeof value === 'bigint' ? String(value) : value))),
    name: `module-${String(index).padStart(4, '0')}`,
    title: words(120),
    summary: words(280),
    description: words(8000),
    inputs: { ...sampleModule.inputs, properties: { text: { type: 'string', maxLength: 100 }, ...properties } },
  })
  return {
    moduleVersion: `0x${'1'.repeat(64)}`,
    name: manifest.name,
    author: token,
    manifestDigest: `0x${'2'.repeat(64)}`,
    feeBips: 0,
    deprecated: false,
    publishedAtBlock: 1,
    manifest,
    offers: [
      { provider: token, pricePerJob: 1n, pricePerSecond: 1n, pricePerInputUnit: 1n, pricePerOutputUnit: 1n, token },
    ],
  }
}

const listings = Array.from({ length: 1000 }, (_, index) => createListing(index))
// Only what these two tools use of a context.
const context = {
  logger: createLogger('silent'),
  config: {},
  signal: new AbortController().signal,
  lilypad: {
    network: { chainId: 1, contracts: { lilyToken: token } },
    searchModules: async ({ limit = 8 }: { limit?: number }) => ({
      modules: listings.slice(0, limit),
      nextCursor: '8',
    }),
    getModule: async () => listings[0],
  },
} as unknown as ToolContext

test.each([
  ['a search', searchModules, {}, 2000],
  ['the largest page of a search', searchModules, { limit: 25 }, 8000],
  ['a module', getModule, { module: 'module-0000' }, 2000],
])('S4: %s over 1,000 modules of the largest kind is small', async (_what, tool, args, most) => {
  const { structuredContent, isError } = await tool.call(args, context)
  expect(isError, JSON.stringify(structuredContent)).toBeUndefined()
  expect(countTokens(structuredContent)).toBeLessThanOrEqual(most)
})
