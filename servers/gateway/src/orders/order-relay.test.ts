import type { Bytes32 } from '@lilypad-agents/protocol'
import type { SolverClient } from '@lilypad-agents/sdk'
import { expect, test } from 'vitest'
import { createOrderRelay, maxCarriedBytes } from './order-relay.ts'

const digest: Bytes32 = `0x${'ab'.repeat(32)}`
const reader = { authorization: 'Lilypad 1:0x' }
const domain = { chainId: 1, vault: `0x${'00'.repeat(20)}` } as const

test('outputs are carried up to a length, and so many at once', async () => {
  let asked = 0
  const solver = {
    async getOutput() {
      asked += 1
      return new Uint8Array(3)
    },
  } as unknown as SolverClient
  const relay = createOrderRelay({ solver, domain })
  const carry = (bytes: number, use: () => unknown = () => {}) =>
    relay.carry({ orderHash: digest, sha256: digest, bytes }, reader, use)

  await expect(carry(maxCarriedBytes + 1)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  expect(asked).toBe(0)
  let end = () => {}
  const slow = new Promise<void>((resolve) => {
    end = resolve
  })
  const under = Array.from({ length: 4 }, () => carry(maxCarriedBytes, () => slow))
  await expect(carry(1)).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  end()
  await Promise.all(under)
  await carry(maxCarriedBytes)
  expect(asked).toBe(5)
})
