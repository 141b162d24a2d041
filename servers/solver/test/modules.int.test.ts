import { moduleManifestDigest, moduleVersionId } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { actors, moduleManifest } from './fixtures.ts'
import { codeOf, type Harness, startHarness } from './harness.ts'

let harness: Harness
beforeAll(async () => {
  harness = await startHarness()
  for (const name of ['frog', 'carp', 'newt', 'duck', 'hare']) await publish(name)
})
afterAll(async () => harness?.close())

async function publish(name: string): Promise<void> {
  const manifest = { ...moduleManifest, name }
  const manifestDigest = moduleManifestDigest(manifest)
  harness.chain.publish(moduleVersionId(name, manifestDigest), {
    manifestDigest,
    author: actors.stranger.address,
    feeBips: 500,
  })
  await harness.client.publishModule(manifest)
}

test('pages have no gap and no repetition, though modules are published meanwhile', async () => {
  const seen: string[] = []
  let cursor: string | undefined
  for (let page = 0; page < 10; page++) {
    const { modules, nextCursor } = await harness.client.listModules({ limit: 2, ...(cursor ? { cursor } : {}) })
    seen.push(...modules.map(({ name }) => name))
    // Stands before everything that was listed already.
    if (page === 0) await publish('ant')
    if (nextCursor === null) break
    cursor = nextCursor
  }
  expect(seen).toEqual(['carp', 'duck', 'echo', 'frog', 'hare', 'newt'])
})

test('a cursor of another search, or of nobody, is refused', async () => {
  for (const cursor of ['2', '../x', 'nothing'])
    expect(await codeOf(harness.client.listModules({ cursor }))).toBe('INVALID_REQUEST')
})
