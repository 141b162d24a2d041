import { createSigner, type Hex, keccak256, toHex } from '@lilypad-agents/protocol'
import { type ChainClient, createChainClient, type Network, sendCallSync, toLilypadChain } from '@lilypad-agents/sdk'
import { transferCall } from '@lilypad-agents/sdk'
import { ExactEvmScheme } from '@x402/evm/exact/client'
import { wrapFetchWithPayment, x402Client } from '@x402/fetch'
import { privateKeyToAccount } from 'viem/accounts'
import type { X402Config } from '../src/x402/settings.ts'

/** Holds all LILY of a test chain. */
const developmentKey: Hex = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'

/** Everything is settled, whatever the gas. */
export const x402Config: X402Config = {
  dollarTokens: [],
  isFacilitator: true,
  fee: 0n,
  minTransfer: 1n,
  maxGasPrice: 10n ** 12n,
  gasPerDay: 10n ** 20n,
}

export const openBank = (network: Network): ChainClient =>
  createChainClient({ chain: toLilypadChain(network), privateKey: developmentKey })

/** A stranger: a fresh key with tokens and no ether, and the stock client of x402. */
export async function createStranger(bank: ChainClient, options: { readonly token: Hex; readonly amount: bigint }) {
  const key = keccak256(toHex(crypto.getRandomValues(new Uint8Array(32))))
  const { address } = createSigner(key)
  if (options.amount > 0n) await sendCallSync(bank, transferCall({ ...options, to: address }))
  const client = new x402Client()
    .register('eip155:*', new ExactEvmScheme(privateKeyToAccount(key)))
    .setSpendControls({ allowedAssets: true })
  const payments: string[] = []
  const record: typeof fetch = (input, init) => {
    const request = new Request(input, init)
    const payment = request.headers.get('payment-signature')
    if (payment) payments.push(payment)
    return fetch(request)
  }
  return {
    ...{ key, address, client, amount: options.amount },
    /** Payments that the client sent, as they stand in their header. */
    payments,
    fetch: wrapFetchWithPayment(record, client),
  }
}
export type Stranger = Awaited<ReturnType<typeof createStranger>>
