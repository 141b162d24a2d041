import { sendCall, sendCallSync, toLilypadChain, transferCall } from '@lilypad-agents/sdk'
import { createTestClient, http } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestChain, type TestChain } from '../src/index.ts'

let testChain: TestChain
beforeAll(async () => {
  testChain = await startTestChain()
})
afterAll(() => testChain?.close())

test('an account goes on sending after the chain has lost its last transactions', async () => {
  const { network, deployer } = testChain
  const to = (await testChain.createActor()).signer.address
  const call = transferCall({ token: network.contracts.lilyToken, to, amount: 1n })
  const chain = createTestClient({ mode: 'anvil', chain: toLilypadChain(network), transport: http() })
  const id = await chain.snapshot()
  for (let lost = 0; lost < 3; lost += 1) await sendCallSync(deployer, call)
  await chain.revert({ id })
  expect((await sendCallSync(deployer, call)).status).toBe('success')
})

test('sends of one account at the same time get a number each', async () => {
  const { network, deployer } = testChain
  const to = (await testChain.createActor()).signer.address
  const call = transferCall({ token: network.contracts.lilyToken, to, amount: 1n })
  const hashes = await Promise.all(Array.from({ length: 8 }, () => sendCall(deployer, call)))
  expect(new Set(hashes).size).toBe(8)
  for (const hash of hashes) expect((await deployer.waitForTransactionReceipt({ hash })).status).toBe('success')
})
