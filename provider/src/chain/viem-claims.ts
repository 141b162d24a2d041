import { jobClaimsAbi, stakeVaultAbi } from '@lilypad-agents/abi'
import { type Bytes32, type JobOrder, LilypadError } from '@lilypad-agents/protocol'
import {
  type ChainClient,
  claimJob,
  type ContractCall,
  ContractRevertedError,
  finalizeClaim,
  translateChainErrors,
  withdrawClaim,
} from '@lilypad-agents/sdk'
import { type ClaimChain, type ClaimItem, claimStatuses } from './claim-chain.ts'

/** Index of the role in the contracts' `StakeRole`. */
const providerRole = 0

/** Claims over a viem client that can send. Each item is a transaction of its own. */
export function createViemClaims(client: ChainClient): ClaimChain {
  const { chain } = client
  const claims = { address: chain.contracts.jobClaims.address, abi: jobClaimsAbi } as const
  const stakes = { address: chain.contracts.stakeVault.address, abi: stakeVaultAbi } as const
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
    async getStake({ account, token }) {
      const [{ active, exposure }, free] = await translateChainErrors('getStake', () =>
        Promise.all([
          client.readContract({ ...stakes, functionName: 'getStake', args: [providerRole, account, token] }),
          client.readContract({ ...stakes, functionName: 'getFreeStake', args: [providerRole, account, token] }),
        ]),
      )
      return { active, exposure, free }
    },
    async findClaimProblem(item) {
      try {
        await simulate(claimJob.call(chain, { request: toRequest(item) }))
        return undefined
      } catch (error) {
        if (error instanceof ContractRevertedError) return error.errorName
        throw error
      }
    },
    claim: (items) => sendEach(items, (item) => claimJob(client, { request: toRequest(item) })),
    finalize: (orders) => sendEach(orders, (order: JobOrder) => finalizeClaim(client, { order })),
    withdraw: (order) => withdrawClaim(client, { order }),
  }
}

const toRequest = ({ order, orderSignature, receipt, reservation }: ClaimItem) => ({
  order,
  orderSignature,
  receipt,
  reservations: reservation === undefined ? [] : [reservation],
})

/** One transaction each. What a contract refuses is left out; what cannot be sent ends it, and what was sent is looked up later. */
async function sendEach<T>(items: readonly T[], send: (item: T) => Promise<Bytes32>): Promise<readonly Bytes32[]> {
  const sent: Bytes32[] = []
  for (const item of items) {
    try {
      sent.push(await send(item))
    } catch (error) {
      if (!(error instanceof ContractRevertedError) && !(LilypadError.is(error) && sent.length > 0)) throw error
    }
  }
  return sent
}
