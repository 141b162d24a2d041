import { jobClaimsAbi } from '@lilypad-agents/abi'
import { type Bytes32, type JobOrder, LilypadError } from '@lilypad-agents/protocol'
import {
  approveCall,
  type ChainClient,
  claimJob,
  claimJobs,
  type ContractCall,
  ContractRevertedError,
  depositStake,
  finalizeClaims,
  getCredit,
  getStake,
  getTokenBalance,
  sendCallSync,
  stakeRoles,
  translateChainErrors,
  withdrawClaim,
  withdrawCredit,
} from '@lilypad-agents/sdk'
import { type ClaimChain, type ClaimItem, claimStatuses } from './claim-chain.ts'

/** Items of one transaction: about a third of what one may use on today's networks (EIP-7825). */
const itemsPerTransaction = 80

/** Claims over a viem client that can send; many items share a transaction. */
export function createViemClaims(client: ChainClient): ClaimChain {
  const { chain } = client
  const claims = { address: chain.contracts.jobClaims.address, abi: jobClaimsAbi } as const
  const simulate = (call: ContractCall) =>
    translateChainErrors(call.functionName, () =>
      client.simulateContract({ ...call, ...(client.account ? { account: client.account } : {}) }),
    )
  return {
    async getTerms() {
      const terms = await translateChainErrors('getTerms', () =>
        client.readContract({ ...claims, functionName: 'getTerms' }),
      )
      return {
        claimGraceSeconds: terms.claimGrace,
        challengeWindowSeconds: terms.challengeWindow,
        collateralRatioBips: terms.collateralRatioBips,
        newcomerCollateralBips: terms.newcomerCollateralBips,
      }
    },
    async getClaim(orderHash) {
      const { status, deadline } = await translateChainErrors('getClaim', () =>
        client.readContract({ ...claims, functionName: 'getClaim', args: [orderHash] }),
      )
      const name = claimStatuses[status]
      if (name === undefined) throw new RangeError(`the contract gives a claim the status ${status}`)
      return { status: name, finalizableAt: deadline + 1 }
    },
    getStake: (of) => getStake(client, { ...of, role: 'provider' }),
    async findClaimProblem(item) {
      try {
        await simulate(claimJob.call(chain, { request: toRequest(item) }))
        return undefined
      } catch (error) {
        if (error instanceof ContractRevertedError) return error.errorName
        throw error
      }
    },
    claim: (items) => sendParts(items, (part) => claimJobs(client, { requests: part.map(toRequest) })),
    finalize: (orders) => sendParts(orders, (part: readonly JobOrder[]) => finalizeClaims(client, { orders: part })),
    async addStake({ account, token, amount }) {
      let balance = await getTokenBalance(client, { account, token })
      if (balance < amount && (await getCredit(client, { account, token })) > 0n) {
        await withdrawCredit.sync(client, { token })
        balance = await getTokenBalance(client, { account, token })
      }
      const isEnough = balance >= amount
      const added = isEnough ? amount : balance
      if (added === 0n) return 0n
      await sendCallSync(client, approveCall({ token, spender: chain.contracts.stakeVault.address, amount: added }))
      await depositStake.sync(client, { role: stakeRoles.provider, token, amount: added, beneficiary: account })
      return added
    },
    withdraw: (order) => withdrawClaim(client, { order }),
  }
}

const toRequest = ({ order, orderSignature, receipt, reservation }: ClaimItem) => ({
  order,
  orderSignature,
  receipt,
  reservations: reservation === undefined ? [] : [reservation],
})

/** The contract skips what it refuses. What cannot be sent ends it, and what was sent is looked up later. */
async function sendParts<T>(
  items: readonly T[],
  send: (part: readonly T[]) => Promise<Bytes32>,
): Promise<readonly Bytes32[]> {
  const sent: Bytes32[] = []
  for (let start = 0; start < items.length; start += itemsPerTransaction) {
    try {
      sent.push(await send(items.slice(start, start + itemsPerTransaction)))
    } catch (error) {
      if (sent.length === 0 || !LilypadError.is(error)) throw error
      break
    }
  }
  return sent
}
