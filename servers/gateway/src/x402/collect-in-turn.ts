import { setTimeout as sleep } from 'node:timers/promises'
import type { ChainClient } from '@lilypad-agents/sdk'
import { collectAuthorization } from '@lilypad-agents/sdk/x402'

const attempts = 6
const pauseMilliseconds = 150
// What nodes say of a transaction that they did not take, since another of the same account has its number.
const numberTaken = /nonce too low|replacement transaction underpriced|already known|nonce has already been used/i

/** Makes a signed transfer, trying again where another gateway of the same key has just sent a transaction under its number. */
export async function collectInTurn(
  client: ChainClient,
  options: Parameters<typeof collectAuthorization>[1],
): ReturnType<typeof collectAuthorization> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await collectAuthorization(client, options)
    } catch (error) {
      if (attempt === attempts || !isNumberTaken(error)) throw error
      // Apart from each other, or they would meet again.
      await sleep(pauseMilliseconds * attempt * (0.5 + Math.random()))
    }
  }
}

function isNumberTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return numberTaken.test(error.message) || isNumberTaken(error.cause)
}
