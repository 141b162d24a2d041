import {
  createSigner,
  keccak256,
  laneId,
  moduleVersionId,
  sessionGrantType,
  type Signer,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import {
  approveCall,
  type ContractCall,
  deposit,
  getCredit,
  getLane,
  type LaneSettlement,
  publishVersion,
  registerGrant,
  sendCall,
  sendCallSync,
  settle,
  settleOne,
  signingDomain,
  toLilypadChain,
  toPublication,
  toSettlements,
  transferCall,
} from '@lilypad-agents/sdk'
import { startTestChain } from '@lilypad-agents/testkit'
import { createLaneWriter, jobPrice, type LaneWriter } from './lane-writer.ts'

/** Most a transaction may use on today's networks (EIP-7825), as a fixed limit: an estimate would settle for less. */
const gasLimit = 16_777_216n
const depositAmount = jobPrice * 10_000n
const wide = 2n ** 96n - 1n

/** Anvil with the contracts, a published module with an author's share of 5 %, and payers with deposits. */
export type GasMarket = {
  /** Lanes of so many payers to one provider, signed by the payers themselves or by keys they granted. */
  openLanes(payers: number, keys: 'payers' | 'session'): Promise<readonly LaneWriter[]>
  /** Gas of one transaction that settles so many jobs of every lane; throws unless all of them are on chain then. */
  settle(lanes: readonly LaneWriter[], jobs: number): Promise<number>
  /** Gas of a plain transfer of LILY between two accounts that hold some. */
  transfer(): Promise<number>
  close(): Promise<void>
}

const signerNamed = (name: string): Signer => createSigner(keccak256(`lilypad bench ${name}`))

/** Starts a market in which every address and every byte is the same each time. */
export async function startGasMarket(): Promise<GasMarket> {
  const testChain = await startTestChain()
  try {
    const { network, deployer } = testChain
    const chain = toLilypadChain(network)
    const domain = signingDomain(chain)
    const token = network.contracts.lilyToken
    const provider = signerNamed('provider').address
    const solver = signerNamed('solver').address
    const manifestDigest = keccak256('manifest')
    const moduleVersion = moduleVersionId('bench', manifestDigest)
    await sendCallSync(
      deployer,
      publishVersion.call(chain, {
        options: toPublication({
          name: 'bench',
          manifestDigest,
          contentDigest: manifestDigest,
          feeBips: 500,
          priceToken: token,
          pricePerJob: jobPrice,
        }),
      }),
    )
    await sendCallSync(deployer, approveCall({ token, spender: network.contracts.jobVault, amount: 2n ** 128n }))

    const gasOf = async (call: ContractCall): Promise<number> => {
      const { account } = deployer
      if (!account) throw new TypeError('the deployer has no account')
      const hash = await deployer.writeContract({ ...call, account, chain, gas: gasLimit })
      const { gasUsed, status } = await deployer.waitForTransactionReceipt({ hash })
      if (status !== 'success') throw new TypeError(`${call.functionName} reverted`)
      return Number(gasUsed)
    }

    const assertSettled = async (settlements: readonly LaneSettlement[]) => {
      for (const { acknowledgement } of settlements) {
        const { voucher } = acknowledgement
        const { settledJobs } = await getLane(deployer, { laneId: laneId(voucher) })
        if (settledJobs !== voucher.jobs)
          throw new TypeError(`the vault settled ${settledJobs} of ${voucher.jobs} jobs`)
      }
      if ((await getCredit(deployer, { account: provider, token })) === 0n)
        throw new TypeError('the provider was credited nothing')
    }

    return {
      async openLanes(payers, keys) {
        const lanes: LaneWriter[] = []
        for (let index = 0; index < payers; index++) {
          const payer = signerNamed(`${keys} payer ${index}`)
          const signer = keys === 'payers' ? payer : signerNamed(`session key ${index}`)
          await sendCall(deployer, deposit.call(chain, { token, amount: depositAmount, beneficiary: payer.address }))
          if (keys === 'session') {
            const grant = {
              payer: payer.address,
              key: signer.address,
              token,
              perJob: wide,
              perDay: wide,
              total: wide,
              validUntil: 4_000_000_000,
              providersRoot: zeroBytes32,
              modulesRoot: zeroBytes32,
              nonce: 1n,
            }
            await sendCall(
              deployer,
              registerGrant.call(chain, { grant, signature: sessionGrantType.sign(domain, grant, payer) }),
            )
          }
          lanes.push(createLaneWriter({ domain, payer: payer.address, signer, provider, solver, token, moduleVersion }))
        }
        return lanes
      },
      async settle(lanes, jobs) {
        const settlements = lanes.map((lane) => lane.acknowledge(jobs))
        const packed = toSettlements(settlements)
        const [settlement] = packed
        const isLone = settlement !== undefined && settlements.length === 1
        const gas = await gasOf(
          isLone ? settleOne.call(chain, { settlement }) : settle.call(chain, { settlements: packed }),
        )
        await assertSettled(settlements)
        return gas
      },
      async transfer() {
        const to = signerNamed('holder').address
        await gasOf(transferCall({ token, to, amount: jobPrice }))
        return gasOf(transferCall({ token, to, amount: jobPrice }))
      },
      close: () => testChain.close(),
    }
  } catch (error) {
    await testChain.close()
    throw error
  }
}
