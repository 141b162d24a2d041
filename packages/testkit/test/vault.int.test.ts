import {
  appendRecord,
  createSigner,
  type JobRecord,
  keccak256,
  laneId,
  sessionGrantType,
  sha256,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import {
  approveCall,
  assertChain,
  auditVault,
  cancelWithdraw,
  collectModule,
  type ContractCall,
  deposit,
  depositAndGrant,
  depositAndGrantNonce,
  depositWithAuthorization,
  depositWithPermit,
  deprecateVersion,
  finalizeWithdraw,
  findSettlement,
  getAccount,
  getCredit,
  getGrant,
  getLane,
  getModule,
  getTokenBalance,
  getVersion,
  type LaneSettlement,
  type LilypadChain,
  listPublished,
  publishVersion,
  registerGrant,
  requestWithdraw,
  revokeGrant,
  sendCallSync,
  settle,
  settleOne,
  signatureParts,
  signDepositAndGrant,
  signDepositAuthorization,
  signingDomain,
  toLilypadChain,
  toPublication,
  toSettlements,
  transferCall,
  withdrawCredit,
} from '@lilypad-agents/sdk'
import { getAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Actor, startTestChain, type TestChain } from '../src/index.ts'

const lily = 10n ** 18n
/** A name, not a selector. */
const named = expect.stringMatching(/^[A-Z]\w+$/)
let testChain: TestChain
let chain: LilypadChain
let token: `0x${string}`
let payer: Actor
let provider: Actor
let author: Actor
let solver: Actor
let relay: Actor

beforeAll(async () => {
  testChain = await startTestChain()
  chain = toLilypadChain(testChain.network)
  token = testChain.network.contracts.lilyToken
  payer = await testChain.createActor()
  provider = await testChain.createActor()
  author = await testChain.createActor()
  solver = await testChain.createActor()
  relay = await testChain.createActor()
  await sendCallSync(testChain.deployer, transferCall({ token, to: payer.signer.address, amount: 1000n * lily }))
}, 120_000)
afterAll(() => testChain?.close())

const account = () => getAccount(relay.client, { payer: payer.signer.address, token })
const expectRevert = (actor: Actor, call: ContractCall, errorName: string) =>
  expect(sendCallSync(actor.client, call)).rejects.toMatchObject({ code: 'CONTRACT_REVERTED', errorName })
const now = async () => new Date(Number((await relay.client.getBlock()).timestamp) * 1000)

describe('deposits', () => {
  test('by approval', async () => {
    await sendCallSync(
      payer.client,
      approveCall({ token, spender: chain.contracts.jobVault.address, amount: 10n * lily }),
    )
    const tenLily = { token, amount: 10n * lily, beneficiary: payer.signer.address }
    await deposit.sync(payer.client, tenLily)
    expect(await account()).toMatchObject({ balance: 10n * lily, pendingWithdrawal: 0n, withdrawableAt: 0 })
    await expect(deposit.sync(payer.client, tenLily)).rejects.toMatchObject({
      code: 'CONTRACT_REVERTED',
      errorName: named,
    })
  })

  test('by an authorisation that somebody else sends', async () => {
    const authorization = await signDepositAuthorization(relay.client, {
      chain,
      account: privateKeyToAccount(payer.key),
      token,
      amount: 20n * lily,
      now: await now(),
    })
    await depositWithAuthorization.sync(relay.client, authorization)
    expect((await account()).balance).toBe(30n * lily)
    await expect(depositWithAuthorization.sync(relay.client, authorization)).rejects.toMatchObject({
      code: 'CONTRACT_REVERTED',
      errorName: named,
    })
  })

  test('by a permit', async () => {
    const deadline = BigInt(Math.floor((await now()).getTime() / 1000) + 3600)
    const signature = await privateKeyToAccount(payer.key).signTypedData({
      domain: { name: 'Lilypad', version: '1', chainId: chain.id, verifyingContract: token },
      types: {
        Permit: [
          { name: 'owner', type: 'address' },
          { name: 'spender', type: 'address' },
          { name: 'value', type: 'uint256' },
          { name: 'nonce', type: 'uint256' },
          { name: 'deadline', type: 'uint256' },
        ],
      },
      primaryType: 'Permit',
      message: {
        owner: payer.signer.address,
        spender: chain.contracts.jobVault.address,
        value: 5n * lily,
        nonce: 0n,
        deadline,
      },
    })
    const parts = signatureParts(signature)
    const permit = { token, amount: 5n * lily, beneficiary: payer.signer.address, deadline, ...parts }
    await depositWithPermit.sync(payer.client, permit)
    expect((await account()).balance).toBe(35n * lily)
  })
})

describe('modules', () => {
  const manifestDigest = sha256('manifest')
  test('are published once, found, listed and withdrawn', async () => {
    const version = {
      name: 'tts',
      manifestDigest,
      contentDigest: manifestDigest,
      feeBips: 500,
      pricePerJob: lily,
      priceToken: token,
    }
    await publishVersion.sync(author.client, { options: toPublication(version) })
    const module = await getModule(relay.client, { name: 'tts' })
    const moduleVersion = module.latestVersion
    expect(await getVersion(relay.client, { moduleVersion })).toMatchObject({ manifestDigest, isDeprecated: false })
    expect(await listPublished(relay.client, { fromBlock: 0n })).toMatchObject([
      { name: 'tts', moduleVersion, author: author.signer.address },
    ])
    await expect(getModule(relay.client, { name: 'nobody' })).rejects.toMatchObject({ code: 'MODULE_UNKNOWN' })
    await expect(getVersion(relay.client, { moduleVersion: sha256('x') })).rejects.toMatchObject({
      code: 'MODULE_UNKNOWN',
    })
    await expectRevert(provider, deprecateVersion.call(chain, { versionId: moduleVersion }), 'ModuleAuthorMismatch')
    await deprecateVersion.sync(author.client, { versionId: moduleVersion })
    expect((await getVersion(relay.client, { moduleVersion })).isDeprecated).toBe(true)
  })
})

/** The client's side of a lane, made with the protocol package alone. */
function createLane(options: {
  readonly signer: Actor['signer']
  readonly number: number
  readonly moduleVersion: `0x${string}`
  readonly prices: readonly bigint[]
}): LaneSettlement & { readonly id: `0x${string}` } {
  const { signer, number, moduleVersion, prices } = options
  const parties = {
    payer: payer.signer.address,
    key: signer.address,
    provider: provider.signer.address,
    solver: solver.signer.address,
    token,
    lane: number,
  }
  const records: JobRecord[] = prices.map((price, nonce) => ({
    orderHash: keccak256(`order ${number} ${nonce}`),
    receiptHash: keccak256(`receipt ${number} ${nonce}`),
    moduleVersion,
    price,
    nonce,
  }))
  const voucher = {
    ...parties,
    cumulativeAmount: prices.reduce((sum, price) => sum + price, 0n),
    jobs: records.length,
    recordsHash: records.reduce(appendRecord, zeroBytes32),
  }
  return {
    id: laneId(parties),
    acknowledgement: { voucher, signature: voucherType.sign(signingDomain(chain), voucher, signer) },
    previousRecordsHash: zeroBytes32,
    records,
    nextNonce: 0,
  }
}

function only(lane: LaneSettlement) {
  const [settlement] = toSettlements([lane])
  if (!settlement) throw new TypeError('no settlement')
  return settlement
}

describe('settlement', () => {
  test('of a lane of three jobs: everybody is credited, the rest is found and adds up', async () => {
    const { latestVersion: moduleVersion } = await getModule(relay.client, { name: 'tts' })
    const before = (await account()).balance
    const lane = createLane({ signer: payer.signer, number: 1, moduleVersion, prices: [lily, 2n * lily, 0n] })
    await sendCallSync(provider.client, settleOne.call(chain, { settlement: only(lane) }))
    expect(before - (await account()).balance).toBe(3n * lily)
    expect(await getLane(relay.client, { laneId: lane.id })).toMatchObject({
      settledAmount: 3n * lily,
      settledJobs: 3,
      nextNonce: 3,
    })
    for (const record of lane.records) {
      expect(await findSettlement(relay.client, { orderHash: record.orderHash })).toMatchObject({
        receiptHash: record.receiptHash,
        moduleVersion,
        price: record.price,
        payer: payer.signer.address,
        provider: provider.signer.address,
      })
    }
    expect(await findSettlement(relay.client, { orderHash: keccak256('nobody') })).toBeUndefined()
    await collectModule.sync(relay.client, { moduleVersion, token })
    expect(await getCredit(relay.client, { account: author.signer.address, token })).toBe((3n * lily * 5n) / 100n)

    const credit = await getCredit(relay.client, { account: provider.signer.address, token })
    expect(credit).toBeGreaterThan(2n * lily)
    await withdrawCredit.sync(provider.client, { token })
    expect(await getTokenBalance(relay.client, { token, account: provider.signer.address })).toBe(credit)
    expect(await getCredit(relay.client, { account: provider.signer.address, token })).toBe(0n)

    const audit = await auditVault(relay.client, { token })
    expect(audit).toMatchObject({ difference: 0n, balances: (await account()).balance })
    expect(audit.uncollectedFees).toBeGreaterThan(0n)
    expect((await auditVault(relay.client, { token: getAddress(token) })).difference).toBe(0n)

    const again = sendCallSync(provider.client, settleOne.call(chain, { settlement: only(lane) }))
    await expect(again).rejects.toMatchObject({ code: 'CONTRACT_REVERTED', errorName: named })
    await sendCallSync(provider.client, settle.call(chain, { settlements: toSettlements([lane]) }))
    expect((await getLane(relay.client, { laneId: lane.id })).settledJobs).toBe(3)
  })

  test('of a granted key: only with the grant, which anyone registers and the payer revokes', async () => {
    const key = createSigner(keccak256('session key'))
    const moduleVersion = sha256('unregistered')
    const lane = createLane({ signer: key, number: 2, moduleVersion, prices: [lily] })
    const early = sendCallSync(provider.client, settleOne.call(chain, { settlement: only(lane) }))
    await expect(early).rejects.toMatchObject({ code: 'CONTRACT_REVERTED', errorName: named })
    const grant = {
      payer: payer.signer.address,
      key: key.address,
      token,
      perJob: lily,
      perDay: 2n * lily,
      total: 3n * lily,
      validUntil: Math.floor((await now()).getTime() / 1000) + 86_400,
      providersRoot: zeroBytes32,
      modulesRoot: zeroBytes32,
      nonce: 1n,
    }
    const signature = sessionGrantType.sign(signingDomain(chain), grant, payer.signer)
    await registerGrant.sync(relay.client, { grant, signature })
    expect(await getGrant(relay.client, grant)).toMatchObject({ isKnown: true, perJob: lily, remaining: 3n * lily })
    await sendCallSync(provider.client, settleOne.call(chain, { settlement: only(lane) }))
    expect(await getGrant(relay.client, grant)).toMatchObject({ remaining: 2n * lily, spentToday: lily })
    await revokeGrant.sync(payer.client, { key: key.address, token, upToNonce: 5n })
    expect((await getGrant(relay.client, grant)).nonce).toBe(5n)
    expect((await auditVault(relay.client, { token })).difference).toBe(0n)
  })
})

test('a withdrawal waits, can be taken back, and tells by name why it cannot be paid out yet', async () => {
  await requestWithdraw.sync(payer.client, { token, amount: lily })
  expect((await account()).pendingWithdrawal).toBe(lily)
  await expect(
    sendCallSync(payer.client, finalizeWithdraw.call(chain, { token, receiver: payer.signer.address })),
  ).rejects.toMatchObject({ code: 'CONTRACT_REVERTED', errorName: named })
  await cancelWithdraw.sync(payer.client, { token })
  expect((await account()).pendingWithdrawal).toBe(0n)
  await assertChain(payer.client)
})

test('one signature deposits, grants and names a guardian, and is good for nothing less', async () => {
  const own = await testChain.createActor()
  const key = createSigner(keccak256('key of a newcomer'))
  await sendCallSync(testChain.deployer, transferCall({ token, to: own.signer.address, amount: 3n * lily }))
  const grant = {
    payer: own.signer.address,
    key: key.address,
    token,
    perJob: lily,
    perDay: lily,
    total: 2n * lily,
    validUntil: Math.floor((await now()).getTime() / 1000) + 3600,
    providersRoot: zeroBytes32,
    modulesRoot: zeroBytes32,
    nonce: 1n,
  }
  const signed = await signDepositAndGrant(relay.client, {
    chain,
    account: privateKeyToAccount(own.key),
    grant,
    guardian: solver.signer.address,
    amount: 3n * lily,
    now: await now(),
  })
  const { guardian, salt, authorization } = signed
  const { value: amount, validAfter, validBefore, v, r, s } = authorization
  const nonce = depositAndGrantNonce(signingDomain(chain), { grant, guardian, salt })
  const plain = { token, from: own.signer.address, amount, validAfter, validBefore, nonce, v, r, s }
  const changed = { ...signed, guardian: relay.signer.address }
  for (const attempt of [
    () => depositWithAuthorization.sync(relay.client, plain),
    () => depositAndGrant.sync(relay.client, changed),
  ])
    await expect(attempt()).rejects.toMatchObject({ code: 'CONTRACT_REVERTED', errorName: named })
  await depositAndGrant.sync(relay.client, signed)
  expect(await getAccount(relay.client, { payer: own.signer.address, token })).toMatchObject({
    balance: 3n * lily,
    guardian: solver.signer.address,
  })
  expect(await getGrant(relay.client, grant)).toMatchObject({ isKnown: true, perJob: lily, nonce: 1n })
})
