import {
  laneId,
  moduleVersionId,
  sessionGrantType,
  sha256,
  type SigningDomain,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import {
  deprecateVersion,
  publishVersion,
  registerGrant,
  toPublication,
  sendCallSync,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { startTestChain, type TestChain } from '@lilypad-agents/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Chain } from '../src/chain/chain.ts'
import { createViemChain } from '../src/chain/viem-chain.ts'
import { codeOf } from './harness.ts'

let network: TestChain
let chain: Chain

beforeAll(async () => {
  network = await startTestChain()
  const { rpcUrl, contracts } = network.network
  chain = createViemChain({ rpcUrl, ...contracts, confirmations: 0, deployedAtBlock: 0 })
})
afterAll(() => network?.close())

test('reads deposits, grants and nonces from the real contracts', async () => {
  const payer = await network.createActor()
  const key = (await network.createActor()).signer.address
  const { lilyToken: token, jobVault } = network.network.contracts
  await network.deposit(payer.signer.address, 5000n)
  expect(await chain.getAccount({ payer: payer.signer.address, token })).toMatchObject({
    balance: 5000n,
    pendingWithdrawal: 0n,
  })
  const empty = await chain.getGrant({ payer: payer.signer.address, key, token })
  expect(empty).toMatchObject({ isKnown: false, remaining: 0n })

  const domain: SigningDomain = { chainId: await chain.getChainId(), vault: jobVault }
  const grant = {
    payer: payer.signer.address,
    key,
    token,
    perJob: 10n,
    perDay: 20n,
    total: 30n,
    validUntil: Math.floor(Date.now() / 1000) + 3600,
    providersRoot: zeroBytes32,
    modulesRoot: zeroBytes32,
    nonce: 4n,
  }
  const signature = sessionGrantType.sign(domain, grant, payer.signer)
  const digest = sessionGrantType.hash(domain, grant)
  expect(await chain.isSignedBy({ address: payer.signer.address, digest, signature })).toBe(true)
  expect(await chain.isSignedBy({ address: key, digest, signature })).toBe(false)
  await registerGrant.sync(payer.client, { grant, signature })
  expect(await chain.getGrant({ payer: payer.signer.address, key, token })).toMatchObject({
    isKnown: true,
    perJob: 10n,
    perDay: 20n,
    remaining: 30n,
    nonce: 4n,
    validUntil: grant.validUntil,
    liveUntil: grant.validUntil + 86_400,
  })
  const lane = laneId({ payer: payer.signer.address, key, provider: key, solver: key, token, lane: 1 })
  expect(await chain.isNonceUsed({ laneId: lane, nonce: 0 })).toBe(false)
})

test('finds published versions and hears of deprecated ones', async () => {
  const author = await network.createActor()
  const manifestDigest = sha256('manifest')
  const moduleVersion = moduleVersionId('some-module', manifestDigest)
  expect(await chain.findVersion(moduleVersion)).toBeUndefined()
  const lilypad = toLilypadChain(network.network)
  const { lilyToken: priceToken } = network.network.contracts
  await sendCallSync(
    author.client,
    publishVersion.call(lilypad, {
      options: toPublication({
        name: 'some-module',
        manifestDigest,
        contentDigest: manifestDigest,
        priceToken,
        pricePerJob: 1n,
        feeBips: 500,
      }),
    }),
  )
  const version = await chain.findVersion(moduleVersion)
  expect(version).toMatchObject({ author: author.signer.address, feeBips: 500, manifestDigest, isDeprecated: false })
  expect(version?.publishedAtBlock).toBe(await chain.getBlockNumber())
  await deprecateVersion.sync(author.client, { versionId: moduleVersion })
  const latest = await chain.getBlockNumber()
  expect(await chain.listDeprecations({ fromBlock: 0, toBlock: latest })).toEqual([moduleVersion])
  expect(await chain.listSettlements({ fromBlock: 0, toBlock: latest })).toEqual([])
})

test('says so when the RPC does not answer', async () => {
  const { contracts } = network.network
  const away = createViemChain({ rpcUrl: 'http://127.0.0.1:1', ...contracts, confirmations: 0, deployedAtBlock: 0 })
  expect(await codeOf(away.getBlockNumber())).toBe('RPC_UNREACHABLE')
})
