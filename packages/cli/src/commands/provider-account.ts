import { type Address, createSigner } from '@lilypad-agents/protocol'
import type { ProviderConfig } from '@lilypad-agents/provider'
import { type ChainClient, createChainClient, formatTokenAmount, toLilypadChain } from '@lilypad-agents/sdk'

/** Base units as people read them. */
export const lily = (amount: bigint) => `${formatTokenAmount(amount)} LILY`
/** Unix seconds as people read them, in UTC. */
export const date = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')
/** A number of things. */
export const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? '' : 's'}`
/** A line of a report. */
export const line = (name: string, text: string) => `  ${name.padEnd(14)} ${text}`

/** The account a provider earns and stakes with, and a client that sends from it. */
export function openProvider({ network, key }: ProviderConfig): {
  readonly account: Address
  readonly token: Address
  readonly client: ChainClient
} {
  const chain = toLilypadChain(network)
  const account = createSigner(key).address
  return { account, token: network.contracts.lilyToken, client: createChainClient({ chain, privateKey: key }) }
}
