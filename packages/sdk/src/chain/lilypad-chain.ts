import type { Address, SigningDomain } from '@lilypad-agents/protocol'
import {
  type Account,
  type Chain,
  type Client,
  createClient,
  defineChain,
  type HttpTransport,
  http,
  type PublicActions,
  publicActions,
  type WalletActions,
  walletActions,
} from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { type ContractName, contractNames, type Network } from './network.ts'

/** A chain that carries our contracts, so that no address is passed by hand. */
export type LilypadChain = Chain & { readonly contracts: Contracts }

/** Addresses of our contracts on a chain. */
export type Contracts = Readonly<Record<ContractName, { readonly address: Address }>>

/** The chain of a network. */
export function toLilypadChain(network: Network): LilypadChain {
  const { contracts } = network
  return defineChain({
    id: network.chainId,
    name: network.name,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [network.rpcUrl] } },
    contracts: Object.fromEntries(contractNames.map((name) => [name, { address: contracts[name] }])),
  }) as unknown as LilypadChain
}

/** The domain in which signatures count on this chain. */
export function signingDomain(chain: LilypadChain): SigningDomain {
  return { chainId: chain.id, vault: chain.contracts.jobVault.address }
}

/** A viem client of a Lilypad chain. */
export type ChainClient = Client<
  HttpTransport,
  LilypadChain,
  Account | undefined,
  undefined,
  PublicActions<HttpTransport, LilypadChain, Account | undefined> & WalletActions<LilypadChain, Account | undefined>
>

/** Reads the chain; with a private key it also sends transactions. */
export function createChainClient(options: {
  readonly chain: LilypadChain
  readonly privateKey?: `0x${string}`
  /** Instead of a private key: who sends. */
  readonly account?: Account
  /** Milliseconds before a call to the RPC gives up. @default 10000 */
  readonly timeoutMilliseconds?: number
}): ChainClient {
  const { chain, privateKey, timeoutMilliseconds = 10_000 } = options
  const account: Account | undefined = privateKey ? privateKeyToAccount(privateKey) : options.account
  return createClient({
    chain,
    account,
    transport: http(chain.rpcUrls.default.http[0], { timeout: timeoutMilliseconds, retryCount: 1 }),
    pollingInterval: 200,
  })
    .extend(publicActions)
    .extend(walletActions)
}
