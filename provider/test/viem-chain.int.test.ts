import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestChain, type TestChain } from '../../packages/testkit/src/index.ts'
import { createViemChain } from '../src/chain/viem-chain.ts'

let testChain: TestChain
beforeAll(async () => {
  testChain = await startTestChain()
})
afterAll(() => testChain?.close())

test('a transaction that the chain lost with its last blocks is given up in seconds, and can be sent again', async () => {
  const actor = await testChain.createActor()
  const startedAt = Date.now()
  const lost = createViemChain(actor.client).waitForTransaction(`0x${'11'.repeat(32)}`)
  await expect(lost).rejects.toMatchObject({ code: 'RPC_UNREACHABLE', retryable: true })
  expect(Date.now() - startedAt).toBeLessThan(15_000)
})
