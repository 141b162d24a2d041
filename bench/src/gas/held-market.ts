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
  claimJobs,
  type ContractCall,
  deposit,
  depositStake,
  finalizeClaim,
  finalizeClaims,
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
  /** Gas per job of one transaction that claims so many jobs without acknowledgement, and of one that pays them. */
  claimAndFinalize(jobs: number): Promise<number>
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
      async claimAndFinalize(jobs) {
        const requestOf = async (nonce: number) => {
          const claimed = await order(1, nonce)
          const receipt = await receiptOf(jobOrderType.hash(domain, claimed))
          return {
            order: claimed,
            orderSignature: jobOrderType.sign(domain, claimed, payer),
            receipt,
            reservations: [],
          }
        }
        const runOne = async (nonce: number) => {
          const request = await requestOf(nonce)
          const claim = await gasOf(claimJob.call(chain, { request }))
          await advance(deployer, 3600)
          return claim + (await gasOf(finalizeClaim.call(chain, { order: request.order })))
        }
        const before = await jobsPaid()
        // The first round gives every slot that the second writes a value.
        await runOne(0)
        if (jobs === 1) return runOne(1)
        const requests = await Promise.all(Array.from({ length: jobs }, (_, index) => requestOf(1 + index)))
        const claim = await gasOf(claimJobs.call(chain, { requests }))
        await advance(deployer, 3600)
        const orders = requests.map((request) => request.order)
        const gas = (claim + (await gasOf(finalizeClaims.call(chain, { orders })))) / jobs
        if ((await jobsPaid()) - before !== jobs + 1) throw new TypeError('not every claim was paid')
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
