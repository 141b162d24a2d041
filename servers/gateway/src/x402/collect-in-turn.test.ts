import { LilypadError } from '@lilypad-agents/protocol'
import type { ChainClient } from '@lilypad-agents/sdk'
import { expect, test } from 'vitest'
import { collectInTurn } from './collect-in-turn.ts'

const transfer = {
  token: `0x${'aa'.repeat(20)}`,
  authorization: {
    from: `0x${'bb'.repeat(20)}`,
    to: `0x${'cc'.repeat(20)}`,
    value: 1n,
    validAfter: 0n,
    validBefore: 1n,
    nonce: `0x${'dd'.repeat(32)}`,
  },
  signature: `0x${'ee'.repeat(65)}`,
  fromBlock: 0n,
} as const

/** A chain whose token knows no such transfer, and whose node refuses it as the test says. */
function createClient(refuse: (sends: number) => Error | undefined) {
  const told = { sends: 0 }
  const client = {
    chain: { id: 1 },
    account: { address: transfer.token },
    readContract: async () => told.sends >= 100,
    simulateContract: async () => ({ request: {} }),
    async writeContract() {
      told.sends += 1
      const error = refuse(told.sends)
      if (error) throw error
      told.sends = 100
      return '0x'
    },
    waitForTransactionReceipt: async () => ({ status: 'success', transactionHash: '0x' }),
    getLogs: async () => [],
  } as unknown as ChainClient
  return { client, told }
}

test('a transaction whose number was taken is sent again', async () => {
  const { client, told } = createClient((sends) => (sends < 3 ? new Error('nonce too low') : undefined))
  await collectInTurn(client, transfer)
  expect(told.sends).toBe(100)
})

test.each([
  ['that failed otherwise', new LilypadError('RPC_UNREACHABLE', 'away'), 1],
  ['whose number is always taken', new Error('outer', { cause: new Error('replacement transaction underpriced') }), 6],
])('one %s is given up', async (_, error, sends) => {
  const { client, told } = createClient(() => error)
  await expect(collectInTurn(client, transfer)).rejects.toBe(error)
  expect(told.sends).toBe(sends)
})
