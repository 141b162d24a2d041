import { askType, createSigner, sha256, zeroBytes32 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { testManifest } from '../../test/test-manifest.ts'
import { NoopExecutor } from '../executors/noop/noop-executor.ts'
import { AskBook } from './ask-book.ts'
import { askSeconds, createAsk, isDue } from './create-ask.ts'
import { listPrices } from './pricing.ts'

const signer = createSigner(`0x${'1'.repeat(64)}`)
const domain = { chainId: 1, vault: `0x${'aa'.repeat(20)}` } as const
const solver = `0x${'33'.repeat(20)}` as const
const token = `0x${'44'.repeat(20)}` as const
const manifest = testManifest({ pricePerJob: '1001', pricePerSecond: '3', pricePerInputUnit: '0' })
const now = 1_800_000_000

test('asks what it is given, and nothing for output units that nobody counts', () => {
  expect(
    createAsk({
      provider: signer.address,
      solver,
      token,
      moduleVersion: sha256('pond'),
      prices: { pricePerJob: 1502n, pricePerSecond: 5n, pricePerInputUnit: 0n, pricePerOutputUnit: 7n },
      isOutputMetered: false,
      slots: 2,
      now,
      salt: zeroBytes32,
    }),
  ).toEqual({
    provider: signer.address,
    solver,
    moduleVersion: sha256('pond'),
    token,
    pricePerJob: 1502n,
    pricePerSecond: 5n,
    pricePerInputUnit: 0n,
    pricePerOutputUnit: 0n,
    slots: 2,
    validUntil: now + askSeconds,
    salt: zeroBytes32,
  })
})

test('an ask is due when half of its time is over', () => {
  expect(isDue({ validUntil: now + askSeconds }, now + askSeconds / 2)).toBe(false)
  expect(isDue({ validUntil: now + askSeconds }, now + askSeconds / 2 + 1)).toBe(true)
})

test('an ask stands until it is due, its module goes, or the solver is another', () => {
  const book = new AskBook({ domain, signer, token, slots: 1, pricing: listPrices })
  const pond = { moduleVersion: sha256('pond'), manifest, executor: new NoopExecutor(), programPath: undefined }
  const lake = { ...pond, moduleVersion: sha256('lake') }
  const first = book.renew([pond], solver, now)
  expect(first.hasChanged).toBe(true)
  const [ask] = first.asks
  expect(ask && askType.findSigner(domain, ask.ask, ask.signature)).toBe(signer.address)
  expect(book.renew([pond], solver, now + 60)).toEqual({ asks: first.asks, hasChanged: false })
  const both = book.renew([pond, lake], solver, now + 60)
  expect(both).toMatchObject({ asks: [ask, {}], hasChanged: true })
  expect(book.renew([lake], solver, now + 60)).toMatchObject({ hasChanged: true })
  expect(book.renew([lake], token, now + 60).hasChanged).toBe(true)
  expect(book.renew([lake], token, now + askSeconds).hasChanged).toBe(true)
  expect(book.renew([lake], token, now + askSeconds).hasChanged).toBe(false)
})
