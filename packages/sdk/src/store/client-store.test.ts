import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, test } from 'vitest'
import { keccak256, sha256 } from '@lilypad-agents/protocol'
import { createStoredJob, describeClientStore } from '../../test/describe-client-store.ts'
import type { ClientStore, StoredJob } from './client-store.ts'
import { memoryStore } from './memory-store.ts'
import { hasOpenJobs } from './has-open-jobs.ts'
import { sqliteStore } from './sqlite-store.ts'

const folders: string[] = []
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'lilypad-store-'))
  folders.push(folder)
  return folder
}
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

describeClientStore('in memory', memoryStore)
describeClientStore('in a folder', () => sqliteStore(newFolder()))

describe('a store in a folder', () => {
  test('remembers after it is closed', async () => {
    const folder = newFolder()
    const first = sqliteStore(folder)
    await first.transaction((transaction) => transaction.putJob(createStoredJob(1)))
    const lane = await first.transaction(({ laneNumber }) => laneNumber())
    await first.putBlob(sha256('a'), new TextEncoder().encode('a'))
    await first.close()
    const second = sqliteStore(folder)
    expect(await second.transaction((transaction) => transaction.listJobs())).toEqual([createStoredJob(1)])
    expect(await second.transaction(({ laneNumber }) => laneNumber())).toBe(lane)
    expect(await second.findBlob(sha256('a'))).toEqual(Buffer.from('a'))
    await second.close()
  })

  test('says whether a job is open without being opened', async () => {
    const folder = newFolder()
    expect(hasOpenJobs(folder)).toBe(false)
    expect(readdirSync(folder)).toEqual([])
    const store = sqliteStore(folder)
    expect(hasOpenJobs(folder)).toBe(false)
    const put = (change: object) =>
      store.transaction((transaction) => transaction.putJob({ ...createStoredJob(1), ...change }))
    for (const [change, expected] of [
      [{ state: 'running', price: null, verified: null }, true],
      [{ state: 'delivered', price: null, verified: false }, false],
      [{ state: 'declined', price: null, verified: null }, false],
      [{ state: 'failed', price: null, verified: null }, false],
      [{ state: 'settled', price: 1n, verified: true }, false],
    ] as const) {
      await put(change)
      expect(hasOpenJobs(folder), JSON.stringify(change.state)).toBe(expected)
    }
    await store.close()
  })

  test('two connections see each other, and one that throws undoes only its own', async () => {
    const folder = newFolder()
    const [one, two] = [sqliteStore(folder), sqliteStore(folder)]
    await one.transaction((transaction) => transaction.putJob(createStoredJob(1)))
    await expect(
      two.transaction((transaction) => {
        transaction.putJob(createStoredJob(2))
        throw new RangeError('no')
      }),
    ).rejects.toThrow(RangeError)
    expect(await two.transaction((transaction) => transaction.listJobs())).toEqual([createStoredJob(1)])
    expect(await one.transaction(({ laneNumber }) => laneNumber())).toBe(
      await two.transaction(({ laneNumber }) => laneNumber()),
    )
    await Promise.all([one.close(), two.close()])
  })

  test('counts every job once, whoever wrote it and whatever was undone', async () => {
    const folder = newFolder()
    const [one, two] = [sqliteStore(folder), sqliteStore(folder)]
    const ledgerOf = (store: ClientStore) =>
      store.transaction((transaction) => [...transaction.listLedger()].sort((a, b) => a.orderedAt - b.orderedAt))
    const put = (store: ClientStore, number: number, price: bigint | null) =>
      store.transaction((transaction) => transaction.putJob(createStoredJob(number, { price, orderedAt: number })))
    const prices = async (store: ClientStore) =>
      (await ledgerOf(store)).map(({ orderedAt, price }) => [orderedAt, price])
    await put(one, 1, 5n)
    await put(two, 2, null)
    expect(await prices(one)).toEqual([
      [1, 5n],
      [2, null],
    ])
    await put(two, 2, 7n)
    await put(two, 3, null)
    await expect(
      one.transaction((transaction) => {
        transaction.putJob(createStoredJob(4, { price: 9n, orderedAt: 4 }))
        expect(transaction.listLedger()).toHaveLength(4)
        throw new RangeError('no')
      }),
    ).rejects.toThrow(RangeError)
    await put(two, 5, 1n)
    const expected = [
      [1, 5n],
      [2, 7n],
      [3, null],
      [5, 1n],
    ]
    for (const store of [one, two, one]) expect(await prices(store)).toEqual(expected)
    await Promise.all([one.close(), two.close()])
  })

  test('many processes that open a new folder at once share it: no number twice, one lane', async () => {
    const folder = newFolder()
    const script = fileURLToPath(new URL('../../test/store-writer.ts', import.meta.url))
    const run = promisify(execFile)
    const answers = await Promise.all(
      Array.from({ length: 4 }, () =>
        run(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', script, folder, '40']),
      ),
    )
    const results = answers.map(({ stdout }) => JSON.parse(stdout) as { numbers: number[]; lane: number })
    const numbers = results.flatMap((result) => result.numbers).sort((a, b) => a - b)
    expect(numbers).toEqual(Array.from({ length: 160 }, (_, index) => index))
    expect(new Set(results.map(({ lane }) => lane)).size).toBe(1)
    expect(readdirSync(join(folder, 'blobs')).filter((name) => name.startsWith('.'))).toEqual([])
    expect(readdirSync(join(folder, 'blobs'))).toHaveLength(40)
  })

  test.skipIf(process.platform === 'win32')('is for its owner alone', async () => {
    const folder = join(newFolder(), 'store')
    const store = sqliteStore(folder)
    await store.putBlob(sha256('a'), new TextEncoder().encode('a'))
    expect(statSync(folder).mode & 0o077).toBe(0)
    expect(statSync(join(folder, 'blobs', sha256('a'))).mode & 0o077).toBe(0)
    await store.close()
  })
})

test('the files of forgotten quotes go, but not those that a job names or that were just written', async () => {
  const folder = newFolder()
  const store = sqliteStore(folder)
  const files = ['of a quote', 'of a quote and a job', 'of a quote, written now', 'an output'] as const
  for (const name of files) await store.putBlob(sha256(name), new TextEncoder().encode(name))
  for (const name of files)
    if (!name.endsWith('now')) utimesSync(join(folder, 'blobs', sha256(name)), 1_700_000_000, 1_700_000_000)
  const job = createStoredJob(1)
  const inputsOf = (...names: readonly string[]) =>
    Object.fromEntries(
      names.map((name, index) => [
        `file${index}`,
        { $file: { sha256: sha256(name), bytes: 1, mediaType: 'text/plain', name: 'a' } },
      ]),
    ) as StoredJob['inputs']
  const { ask, module, inputs } = job
  await store.transaction((transaction) => {
    transaction.putQuote({
      quote: {
        ...{ quoteId: keccak256('unused'), module: 'sample', moduleVersion: job.order.moduleVersion, ask },
        ...{
          manifestDigest: sha256('manifest'),
          inputsDigest: job.order.inputsDigest,
          maxPrice: 1n,
          expectedPrice: 1n,
        },
        ...{ expectedSeconds: 1, startBy: 1, deliverBy: 2, expiresAt: 3 },
      },
      module,
      inputs: { ...inputs, ...inputsOf(...files.slice(0, 3)) },
    })
    transaction.putJob({ ...job, inputs: { ...inputs, ...inputsOf('of a quote and a job') } })
  })
  await store.forgetQuotes(4)
  expect(await Promise.all(files.map(async (name) => (await store.findBlob(sha256(name))) !== undefined))).toEqual([
    ...[false, true, true, true],
  ])
  await store.close()
})
