import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { pino } from 'pino'
import { createSigner, type Hex, keccak256, type Signer } from '@lilypad-agents/protocol'
import { type ChainClient, createSolverClient, getTokenBalance } from '@lilypad-agents/sdk'
import { collectAuthorization, getTokenDomain, signAuthorization, type TokenDomain } from '@lilypad-agents/sdk/x402'
import { eq } from 'drizzle-orm'
import { type Actor, startTestChain, type TestChain } from '../../../packages/testkit/src/index.ts'
import { findApiKeyById } from '../src/account/api-key.ts'
import { chargeRequest, openRequest, releaseRequest, reserveFor } from '../src/account/paid-request.ts'
import { type Database, openDatabase } from '../src/db/open-database.ts'
import { accounts } from '../src/db/schema.ts'
import { openX402Desk, type X402Desk } from '../src/x402/desk.ts'
import { decodeTransfer, encodeTransfer, findPayment, isStillPaid, takePayment } from '../src/x402/payment-store.ts'
import { type X402Payment, x402Payments } from '../src/x402/payment-tables.ts'
import type { X402Config } from '../src/x402/settings.ts'
import { createStranger, openBank, type Stranger, x402Config } from './stranger.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

const cap = 1_000_000n
const fee = 1000n
const value = cap + fee
/** No order is relayed here. */
const nowhere = { url: 'http://127.0.0.1:1', domain: { chainId: 31_337, vault: `0x${'0'.repeat(40)}` as const } }
let chain: TestChain
let bank: ChainClient
let seller: Actor
let domain: TokenDomain
let database: Database
let closeDatabase: () => Promise<void>
let now: number
let count = 0

beforeAll(async () => {
  chain = await startTestChain()
  bank = openBank(chain.network)
  domain = await getTokenDomain(bank, token())
  ;({ database, close: closeDatabase } = await openDatabase({ databaseUrl: process.env.DATABASE_URL }))
})
afterAll(async () => {
  await closeDatabase?.()
  await chain?.close()
})
afterEach(() => vi.restoreAllMocks())

const token = () => chain.network.contracts.lilyToken
const balanceOf = (account: Hex) => getTokenBalance(bank, { token: token(), account })

/** A process that sells: each has only what is written down. */
const openDesk = (change: Partial<X402Config> = {}, signer: Signer = seller.signer): Promise<X402Desk> =>
  openX402Desk(
    {
      database,
      log: pino({ level: 'silent' }),
      clock: () => new Date(now * 1000),
      rules: { usdPerLilyWad: 10n ** 18n },
    },
    { network: chain.network, signer, config: { ...x402Config, fee, ...change }, solver: createSolverClient(nowhere) },
  )

/** A payment that was written down, of which nothing has happened on chain. */
async function take(): Promise<{ readonly payment: X402Payment; readonly buyer: Stranger; readonly desk: X402Desk }> {
  seller = await chain.createActor()
  now = Math.floor(Date.now() / 1000)
  const buyer = await createStranger(bank, { token: token(), amount: value })
  const authorization = {
    ...{ from: buyer.address, to: seller.signer.address, value, validAfter: 0n },
    ...{ validBefore: BigInt(now + 300), nonce: keccak256(`nonce ${count++}`) },
  }
  const signature = signAuthorization(createSigner(buyer.key), domain, authorization)
  const id = keccak256(`payment ${count} ${Math.random()}`)
  const taken = {
    ...{ id, offerId: keccak256(`offer of ${id}`), caller: 'caller', digest: id, cap, fee, value, takenAt: now },
    ...{ payer: buyer.address, asset: token(), payTo: seller.signer.address, fromBlock: 0 },
    transfer: encodeTransfer({ authorization, signature }),
  }
  expect(await takePayment(database, taken)).toBe(true)
  expect(await takePayment(database, taken)).toBe(false)
  return { payment: await get(id), buyer, desk: await openDesk() }
}

async function get(id: Hex): Promise<X402Payment> {
  const found = await findPayment(database, id)
  if (!found) throw new TypeError('no such payment')
  return found
}

/** Notes a request for a settled payment. */
async function openFor({ keyId, id }: X402Payment): Promise<string> {
  const key = await findApiKeyById(database, keyId ?? '')
  if (!key) throw new TypeError('not settled')
  const request = { id: `request of ${id}`, key, replica: 'r', kind: 'chat', model: 'm', digest: id, now }
  await openRequest(database, { ...request, idempotencyKey: id })
  return request.id
}

/** What the payer's account holds. */
async function heldFor({ payer }: X402Payment): Promise<bigint | undefined> {
  const [found] = await database
    .select()
    .from(accounts)
    .where(eq(accounts.name, `x402:${payer}`))
  return found?.balance
}

test('is charged what its request has cost and the fee; the rest goes back once', async () => {
  const { payment, buyer, desk } = await take()
  expect(await desk.collect(payment)).toBe(true)
  expect(await heldFor(payment)).toBe(value)
  const settled = await get(payment.id)
  const id = await openFor(settled)
  expect(await isStillPaid(database, payment.id)).toBe(true)
  await desk.close(payment.id)
  expect((await get(payment.id)).state).toBe('settled')
  // Its key may spend the price and not the fee.
  await expect(reserveFor(database, { id, amount: cap + 1n, now })).rejects.toMatchObject({
    code: 'INSUFFICIENT_BALANCE',
  })
  await reserveFor(database, { id, amount: cap, now })
  await chargeRequest(database, { id, price: 300n, receipt: keccak256('r'), inputUnits: 1, outputUnits: 1, now })
  await Promise.all([desk.close(payment.id), (await openDesk()).close(payment.id), desk.sweep()])
  await desk.sweep()
  expect(await get(payment.id)).toMatchObject({ state: 'closed', change: cap - 300n })
  expect(await balanceOf(buyer.address)).toBe(cap - 300n)
  expect(await balanceOf(seller.signer.address)).toBe(300n + fee)
  expect(await heldFor(payment)).toBe(0n)
})

test('goes back whole, fee and all, when its request costs nothing or never comes', async () => {
  const { payment, buyer, desk } = await take()
  await desk.collect(payment)
  now += 60
  await desk.sweep()
  expect((await get(payment.id)).state).toBe('settled')
  now += 120
  await desk.sweep()
  expect(await get(payment.id)).toMatchObject({ state: 'closed', change: value })
  expect(await isStillPaid(database, payment.id)).toBe(false)
  expect(await balanceOf(buyer.address)).toBe(value)
  expect(await heldFor(payment)).toBe(0n)
})

test('that was never sent is not sent by a later process, and is void when its time is over', async () => {
  const { payment, buyer } = await take()
  now += 200
  await (await openDesk()).sweep()
  expect((await get(payment.id)).state).toBe('taken')
  now += 300
  await (await openDesk()).sweep()
  expect((await get(payment.id)).state).toBe('void')
  expect(await balanceOf(buyer.address)).toBe(value)
})

test('that was sent before a crash is credited by the next process, and goes back', async () => {
  const { payment, buyer } = await take()
  await collectAuthorization(bank, { token: token(), ...decodeTransfer(payment.transfer), fromBlock: 0n })
  now += 61
  const desk = await openDesk()
  await desk.sweep()
  expect((await get(payment.id)).state).toBe('settled')
  now += 120
  await desk.sweep()
  expect((await get(payment.id)).state).toBe('closed')
  expect(await balanceOf(buyer.address)).toBe(value)
})

test('whose change was sent before a crash, or by its payer, is not sent again', async () => {
  const { payment, buyer } = await take()
  // This process signs the change and sends nothing.
  const dead = await openDesk({ maxGasPrice: 0n })
  await (await openDesk()).collect(payment)
  now += 200
  await expect(dead.close(payment.id)).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  const returning = await get(payment.id)
  expect(returning).toMatchObject({ state: 'returning', change: value })
  await collectAuthorization(bank, {
    ...{ token: token(), ...decodeTransfer(returning.changeTransfer ?? '') },
    fromBlock: 0n,
  })
  await (await openDesk()).sweep()
  expect(await get(payment.id)).toMatchObject({ state: 'closed', changeTransaction: expect.stringMatching(/^0x/) })
  expect(await balanceOf(buyer.address)).toBe(value)
})

test('whose change is worth less than its gas leaves it to the payer to send', async () => {
  const { payment, buyer } = await take()
  const desk = await openDesk({ minTransfer: value + 1n })
  await desk.collect(payment)
  now += 200
  await desk.sweep()
  const closed = await get(payment.id)
  expect(closed).toMatchObject({ state: 'closed', change: value, changeTransaction: null })
  expect(await balanceOf(buyer.address)).toBe(0n)
  await collectAuthorization(bank, {
    ...{ token: token(), ...decodeTransfer(closed.changeTransfer ?? '') },
    fromBlock: 0n,
  })
  expect(await balanceOf(buyer.address)).toBe(value)
})

test('sends nothing when gas is dear, or has cost enough today', async () => {
  const { payment } = await take()
  await expect((await openDesk({ maxGasPrice: 1n })).collect(payment)).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  await expect((await openDesk({ gasPerDay: 1n })).gas.check()).rejects.toMatchObject({ code: 'RATE_LIMITED' })
  const price = await bank.getGasPrice()
  const desk = await openDesk({ gasPerDay: price * 2n * 150_000n - 1n })
  await desk.gas.spend(async () => {})
  await expect(desk.gas.spend(async () => {})).rejects.toMatchObject({ code: 'RATE_LIMITED' })
})

test('that the chain refuses costs nothing of what gas may cost', async () => {
  const { payment, buyer } = await take()
  const desk = await openDesk({ gasPerDay: (await bank.getGasPrice()) * 2n * 150_000n })
  const nonce = keccak256(`away ${count}`)
  const away = { from: buyer.address, to: token(), value: 1n, validAfter: 0n, validBefore: BigInt(now + 300), nonce }
  const signature = signAuthorization(createSigner(buyer.key), domain, away)
  await collectAuthorization(bank, { token: token(), authorization: away, signature, fromBlock: 0n })
  for (let index = 0; index < 5; index += 1)
    await expect(desk.collect(payment)).rejects.toMatchObject({ code: 'CONTRACT_REVERTED' })
  expect(await desk.gas.isOpen()).toBe(true)
})

test('that cannot be finished yet keeps no other from it, however many there are', async () => {
  const { payment } = await take()
  const { id, offerId, ...rest } = payment
  const stuck = Array.from({ length: 501 }, (_, index) => ({
    ...rest,
    ...{ id: keccak256(`stuck ${index} ${id}`), offerId: keccak256(`stuck ${index} ${offerId}`) },
    takenAt: now - 10,
  }))
  await database.insert(x402Payments).values(stuck)
  const desk = await openDesk()
  expect(await desk.collect(payment)).toBe(true)
  await database
    .update(x402Payments)
    .set({ takenAt: now - 9 })
    .where(eq(x402Payments.id, id))
  await openFor(await get(id)).then((request) => releaseRequest(database, { id: request, errorCode: 'CANCELLED', now }))
  await desk.sweep()
  expect((await get(id)).state).toBe('closed')
})
