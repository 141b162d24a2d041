import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestChain, type TestChain } from '../../packages/testkit/src/index.ts'
import { sendCallSync, transferCall } from '@lilypad-agents/sdk'
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

test('stake is added out of own tokens, as far as they go', async () => {
  const { client, signer } = await testChain.createActor()
  const { lilyToken: token } = testChain.network.contracts
  await sendCallSync(testChain.deployer, transferCall({ token, to: signer.address, amount: 5n }))
  const { claims } = createViemChain(client)
  const of = { account: signer.address, token }
  expect(await claims.addStake({ ...of, amount: 3n })).toBe(3n)
  expect(await claims.addStake({ ...of, amount: 9n })).toBe(2n)
  expect(await claims.addStake({ ...of, amount: 9n })).toBe(0n)
  expect(await claims.getStake(of)).toMatchObject({ active: 5n, exposure: 0n, free: 5n })
})
