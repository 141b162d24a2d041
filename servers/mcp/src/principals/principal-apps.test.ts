import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { createLogger } from '../log/logger.ts'
import { createPrincipalApps } from './principal-apps.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-apps-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let folders = 0

function setUp(bounds: { open?: number; known?: number; requests?: number } = {}) {
  const directory = join(folder, String(folders++))
  const said: string[] = []
  const busy = new Set<string>()
  const apps = createPrincipalApps({
    directory,
    bounds,
    logger: createLogger('silent'),
    open(principal, terms) {
      said.push(`open ${principal} ${terms.kind}`)
      mkdirSync(join(directory, principal, 'state'), { recursive: true })
      return {
        name: principal,
        isBusy: () => busy.has(principal),
        async close() {
          said.push(`close ${principal}`)
        },
      }
    },
  })
  const use = (principal: string, work: () => Promise<void> = async () => {}, limits = {}) =>
    apps.use({ principal, limits, mayHaveWallet: true, takesShare: true }, work)
  return { apps, use, said, busy, directory }
}

test('each principal has one app, opened when it is first used', async () => {
  const { apps, use, said } = setUp()
  await use('alice')
  await use('bob')
  await use('alice')
  expect(said).toEqual(['open alice call', 'open bob call'])
  await apps.close()
  expect(said.slice(2).sort()).toEqual(['close alice', 'close bob'])
})

test('of too many the one longest unused gives way, but none that is at work', async () => {
  const { apps, use, said, busy } = setUp({ open: 2 })
  const held = Promise.withResolvers<void>()
  await use('alice')
  const working = use('bob', () => held.promise)
  await use('carol')
  expect(said).toEqual(['open alice call', 'open bob call', 'close alice', 'open carol call'])
  busy.add('carol')
  await expect(use('dave')).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  held.resolve()
  await working
  await use('dave')
  expect(said.slice(4)).toEqual(['close bob', 'open dave call'])
  await apps.close()
})

test('requests at once are bounded for each principal', async () => {
  const { apps, use } = setUp({ requests: 2 })
  const held = Promise.withResolvers<void>()
  const working = [use('alice', () => held.promise), use('alice', () => held.promise)]
  await expect(use('alice')).rejects.toThrow(/More than 2 requests at once/)
  await use('bob')
  held.resolve()
  await Promise.all(working)
  await use('alice')
  await apps.close()
})

test('another limit of its token counts at once', async () => {
  const { apps, use, said } = setUp()
  await use('alice', undefined, { perDay: 5n })
  await use('alice', undefined, { perDay: 5n })
  await use('alice', undefined, { perDay: 4n })
  expect(said).toEqual(['open alice call', 'close alice', 'open alice call'])
  await apps.close()
})

test('new principals are bounded, known ones still come in', async () => {
  const { apps, use } = setUp({ known: 2 })
  await use('alice')
  await use('bob')
  await expect(use('carol')).rejects.toThrow(/as many principals as it can/)
  await use('alice')
  await apps.close()
})

test('a new process takes up the jobs of each principal, and keeps open only who has some', async () => {
  const { apps, said, busy, directory } = setUp()
  for (const name of ['alice', 'bob', 'Not-A-Name']) mkdirSync(join(directory, name, 'state'), { recursive: true })
  mkdirSync(join(directory, 'empty'))
  busy.add('bob')
  const resumed = apps.resume()
  await sleep(300)
  expect(said).toEqual(['open alice resume', 'close alice', 'open bob resume'])
  await apps.close()
  await resumed
  expect(said.at(-1)).toBe('close bob')
})
