import { expect, test } from 'vitest'
import { z } from 'zod'
import { sampleModule } from '../../../../packages/sdk/test/sample-bundle.ts'
import { createLogger } from '../log/logger.ts'
import type { ToolContext } from '../tool/tool-context.ts'
import { searchModules } from './search-modules.ts'

const Page = z.object({ modules: z.array(z.object({ module: z.string() })), next_cursor: z.string().nullable() })
const token = `0x${'70'.repeat(20)}` as const
const nameOf = (index: number) => `module-${String(index).padStart(3, '0')}`

/** A solver whose pages go on after the last name, as ours do, and whose list can grow. */
function createMarket(names: string[]) {
  const toListing = (name: string) => ({ name, manifest: { ...sampleModule, name }, offers: [] })
  const lilypad = {
    network: { chainId: 1, contracts: { lilyToken: token } },
    async searchModules({ limit = 8, cursor }: { limit?: number; cursor?: string }) {
      const start = cursor === undefined ? 0 : names.indexOf(cursor) + 1
      const page = names.slice(start, start + limit)
      return { modules: page.map(toListing), nextCursor: start + limit < names.length ? page.at(-1) : null }
    },
  }
  // Only what this tool uses of a context.
  return { logger: createLogger('silent'), config: {}, lilypad } as unknown as ToolContext
}

test('S6: a walk through the modules skips none and repeats none, though one is published meanwhile', async () => {
  const names = Array.from({ length: 30 }, (_, index) => nameOf(index * 2))
  const context = createMarket(names)
  const before = [...names]
  const seen: string[] = []
  let cursor: unknown
  do {
    const args = { limit: 7, ...(cursor ? { cursor } : {}) }
    const { modules, next_cursor } = Page.parse((await searchModules.call(args, context)).structuredContent)
    seen.push(...modules.map(({ module }) => module))
    cursor = next_cursor
    if (seen.length === 14) names.splice(3, 0, nameOf(5))
  } while (cursor !== null)
  expect(new Set(seen).size).toBe(seen.length)
  expect(seen).toEqual(before)
})

test.each(['nonsense', 'W10', 'WzFd', 'bnVsbA'])('S6: the cursor %j is refused with what to do', async (cursor) => {
  const { structuredContent, isError } = await searchModules.call({ cursor }, createMarket([]))
  expect(isError).toBe(true)
  expect(structuredContent).toMatchObject({
    error: { code: 'INVALID_REQUEST', fix: expect.stringContaining('without cursor') },
  })
})
