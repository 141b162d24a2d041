import {
  type Acknowledgement,
  acknowledgementType,
  createSigner,
  type JobOrder,
  jobOrderType,
  keccak256,
  moduleVersionId,
  type Receipt,
  receiptType,
  type Signer,
} from '@lilypad-agents/protocol'
import {
  approveCall,
  type ChainClient,
  claimJob,
  type ContractCall,
  deposit,
  depositStake,
  finalizeClaim,
  getEarnings,
  lockJobs,
  publishVersion,
  sendCallSync,
  settleLockedJobs,
  signingDomain,
  toLilypadChain,
  toPublication,
} from '@lilypad-agents/sdk'
import { startTestChain } from '@lilypad-agents/testkit'
import { jobPrice } from './lane-writer.ts'

/** Most a transaction may use on today's networks (EIP-7825). */
const gasLimit = 16_777_216n

/** Anvil with the contracts, a provider with stake, and a payer that orders with its own key. */
export type HeldMarket = {
  /** Gas of one transaction that locks so many jobs, and of one that pays them. */
  lockAndSettle(jobs: number): Promise<number>
  /** Gas of a claim without acknowledgement and of its payment, one transaction each. */
  claimAndFinalize(): Promise<number>
  close(): Promise<void>
}

/** Starts a market for jobs whose money is set aside on chain. */
export async function startHeldMarket(): Promise<HeldMarket> {
  const testChain = await startTestChain()
  try {
    const { network, deployer } = testChain
    const chain = toLilypadChain(network)
    const domain = signingDomain(chain)
    const token = network.contracts.lilyToken
    const { signer: provider, client } = await testChain.createActor()
    const payer = createSigner(keccak256('lilypad bench holder'))
    const solver = createSigner(keccak256('lilypad bench solver')).address
    const manifestDigest = keccak256('manifest')
    const moduleVersion = moduleVersionId('bench', manifestDigest)
    const { stakeVault, jobVault } = network.contracts
    await publishVersion.sync(deployer, {
      options: toPublication({
        name: 'bench',
        manifestDigest,
        contentDigest: manifestDigest,
        feeBips: 500,
        priceToken: token,
        pricePerJob: jobPrice,
      }),
    })
    for (const spender of [jobVault, stakeVault])
      await sendCallSync(deployer, approveCall({ token, spender, amount: 2n ** 128n }))
    await deposit.sync(deployer, { token, amount: jobPrice * 10_000n, beneficiary: payer.address })
    await depositStake.sync(deployer, {
      role: 0,
      token,
      amount: jobPrice * 1_000_000n,
      beneficiary: provider.address,
    })

    const now = async () => Number((await deployer.getBlock()).timestamp)
    const gasOf = async (call: ContractCall): Promise<number> => {
      const { account } = client
      if (!account) throw new TypeError('the provider has no account')
      const hash = await client.writeContract({ ...call, account, chain, gas: gasLimit })
      const { gasUsed, status } = await client.waitForTransactionReceipt({ hash })
      if (status !== 'success') throw new TypeError(`${call.functionName} reverted`)
      return Number(gasUsed)
    }
    let orders = 0
    const order = async (lane: number, nonce: number): Promise<JobOrder> => ({
      payer: payer.address,
      key: payer.address,
      moduleVersion,
      inputsDigest: keccak256(`inputs ${orders++}`),
      askHash: keccak256('ask'),
      provider: provider.address,
      solver,
      token,
      maxPrice: jobPrice,
      lane,
      nonce,
      startBy: (await now()) + 3600,
      deliverBy: (await now()) + 7200,
      verification: 0,
      auditCommit: keccak256('audit'),
    })
    const receiptOf = async (orderHash: `0x${string}`): Promise<Receipt> => ({
      orderHash,
      status: 0,
      manifestDigest: keccak256(`manifest ${orderHash}`),
      outputsRoot: keccak256(`outputs ${orderHash}`),
      logsDigest: keccak256('logs'),
      inputUnits: 1,
      outputUnits: 1,
      meteredSeconds: 1,
      price: jobPrice,
      startedAt: await now(),
      finishedAt: await now(),
    })
    const jobsPaid = async () => (await getEarnings(deployer, { account: provider.address, token })).jobs

    return {
      async lockAndSettle(jobs) {
        const run = createLockRun({ chainOf: client, payer, domain, order, receiptOf, gasOf })
        const before = await jobsPaid()
        // The first round gives every slot that the second writes a value.
        await run(0, 0, 1)
        const gas = await run(0, 1, jobs)
        if ((await jobsPaid()) - before !== jobs + 1) throw new TypeError('not every locked job was paid')
        return gas
      },
      async claimAndFinalize() {
        const run = async (nonce: number) => {
          const claimed = await order(1, nonce)
          const orderHash = jobOrderType.hash(domain, claimed)
          const receipt = await receiptOf(orderHash)
          const claim = await gasOf(
            claimJob.call(chain, {
              request: {
                order: claimed,
                orderSignature: jobOrderType.sign(domain, claimed, payer),
                receipt,
                reservations: [],
              },
            }),
          )
          await advance(deployer, 3600)
          return claim + (await gasOf(finalizeClaim.call(chain, { order: claimed })))
        }
        const before = await jobsPaid()
        await run(0)
        const gas = await run(1)
        if ((await jobsPaid()) - before !== 2) throw new TypeError('not every claim was paid')
        return gas
      },
      close: () => testChain.close(),
    }
  } catch (error) {
    await testChain.close()
    throw error
  }
}

function createLockRun(market: {
  readonly chainOf: ChainClient
  readonly payer: Signer
  readonly domain: ReturnType<typeof signingDomain>
  order(lane: number, nonce: number): Promise<JobOrder>
  receiptOf(orderHash: `0x${string}`): Promise<Receipt>
  gasOf(call: ContractCall): Promise<number>
}) {
  const { chainOf, payer, domain, order, receiptOf, gasOf } = market
  return async (lane: number, firstNonce: number, jobs: number): Promise<number> => {
    const orders: JobOrder[] = []
    for (let index = 0; index < jobs; index++) orders.push(await order(lane, firstNonce + index))
    const requests = orders.map((each) => ({
      order: each,
      orderSignature: jobOrderType.sign(domain, each, payer),
      reservations: [],
    }))
    const lock = await gasOf(lockJobs.call(chainOf.chain, { requests }))
    const settlements = await Promise.all(
      orders.map(async (each) => {
        const orderHash = jobOrderType.hash(domain, each)
        const receiptHash = receiptType.hash(domain, await receiptOf(orderHash))
        const acknowledgement: Acknowledgement = { orderHash, receiptHash, price: jobPrice }
        return {
          order: each,
          receiptHash,
          price: jobPrice,
          acknowledgement: acknowledgementType.sign(domain, acknowledgement, payer),
        }
      }),
    )
    return (lock + (await gasOf(settleLockedJobs.call(chainOf.chain, { settlements })))) / jobs
  }
}

async function advance(client: ChainClient, seconds: number): Promise<void> {
  await client.request({ method: 'evm_increaseTime' as never, params: [seconds] as never })
  await client.request({ method: 'evm_mine' as never, params: [] as never })
}
