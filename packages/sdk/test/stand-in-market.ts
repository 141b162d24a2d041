import { type Bytes32, JobOrder, jobOrderType, keccak256, type Signer } from '@lilypad-agents/protocol'
import type { StoredQuote } from '../src/store/client-store.ts'
import { sampleContracts } from '../src/chain/network.ts'
import { createSampleBundle, sampleDomain, sampleModule, sampleSigners } from './sample-bundle.ts'

const bundle = createSampleBundle()

/** A network on which nobody listens: what answers in its place is given to the client. */
export const standInNetwork = {
  name: 'stand-in',
  chainId: sampleDomain.chainId,
  rpcUrl: 'http://rpc.invalid',
  solverUrl: 'http://solver.invalid',
  contracts: { ...sampleContracts(`0x${'70'.repeat(20)}`), jobVault: sampleDomain.vault },
}

/** A quote as the store keeps it. */
export function standInQuote(
  number: number,
  changes: Partial<StoredQuote['quote']>,
  publisher = sampleSigners.stranger.address,
): StoredQuote {
  const { order } = bundle.order
  return {
    quote: {
      quoteId: keccak256(`stand-in ${number}`),
      module: sampleModule.name,
      moduleVersion: order.moduleVersion,
      manifestDigest: keccak256('manifest'),
      inputsDigest: order.inputsDigest,
      ask: bundle.ask,
      maxPrice: 1n,
      expectedPrice: 1n,
      expectedSeconds: 1,
      startBy: 2_000_000_000,
      deliverBy: 2_000_000_000,
      expiresAt: 2_000_000_000,
      ...changes,
    },
    module: sampleModule,
    inputs: bundle.inputs,
    publisher,
  }
}

const json = (value: unknown) =>
  new Response(JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item)))

/** A solver that takes every order, and ends those that are cancelled. `isLost` decides whether an answer gets lost. */
export function standInSolver(isLost: () => boolean = () => false) {
  const orders = new Map<Bytes32, JobOrder>()
  /** How orders ended, as it tells. */
  const ends = new Map<Bytes32, 'expired' | 'declined'>()
  const view = (orderHash: Bytes32, state: string, code?: string) =>
    json({
      orderHash,
      state,
      order: orders.get(orderHash),
      reservation: null,
      missingInputs: [],
      progress: null,
      delivery: null,
      settlement: null,
      reason: code === undefined ? null : { code, message: 'its end' },
      createdAt: 1,
      updatedAt: 1,
    })
  const answer: typeof fetch = async (url, { body } = {}) => {
    const { pathname } = new URL(String(url))
    let response: Response
    if (pathname === '/jobs') {
      const order = JobOrder.parse((JSON.parse(String(body)) as { order: unknown }).order)
      const orderHash = jobOrderType.hash(sampleDomain, order)
      orders.set(orderHash, order)
      response = view(orderHash, 'ordered')
    } else {
      const orderHash = pathname.split('/')[2] as Bytes32
      const end = ends.get(orderHash)
      response = pathname.endsWith('/cancellation')
        ? view(orderHash, 'expired', 'CANCELLED')
        : view(orderHash, end ?? 'ordered', end && 'DEADLINE_PASSED')
    }
    if (isLost()) throw new TypeError('the answer got lost')
    return response
  }
  return { orders, ends, fetch: answer }
}

/** A signer that is quick, and counts. Nobody checks its signatures. */
export function countingSigner(): Signer & { readonly signed: string[] } {
  const signed: string[] = []
  return {
    address: sampleSigners.session.address,
    signed,
    sign(digest) {
      signed.push(digest)
      return `0x${'5a'.repeat(64)}1b`
    },
  }
}

/** Answers of a chain over RPC. */
export function standInRpc(
  answers: { readonly chainId?: number; readonly codes?: Readonly<Record<string, string>> } = {},
) {
  const { chainId = sampleDomain.chainId, codes = {} } = answers
  return async (_url: unknown, { body }: { readonly body: string }) => {
    const { id, method, params } = JSON.parse(body) as { id: number; method: string; params: readonly string[] }
    const result = method === 'eth_chainId' ? `0x${chainId.toString(16)}` : (codes[params[0] ?? ''] ?? '0x')
    return json({ jsonrpc: '2.0', id, result })
  }
}
