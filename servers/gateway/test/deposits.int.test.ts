import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { keccak256 } from '@lilypad-agents/protocol'
import { startTestChain, type TestChain } from '@lilypad-agents/testkit'
import { approveCall, deposit, getAccount, sendCallSync, sweepDepositAddress, transferCall } from '@lilypad-agents/sdk'
import { eq, sql } from 'drizzle-orm'
import { pino } from 'pino'
import { createTestClient, http } from 'viem'
import { createAccount, getBalance } from '../src/account/account.ts'
import { type Database, openDatabase } from '../src/db/open-database.ts'
import { type DepositChain, createDepositChain } from '../src/deposits/deposit-chain.ts'
import { type DepositRules, openDepositAddress, watchDeposits } from '../src/deposits/watch-deposits.ts'
import { accounts, apiKeys, ledgerEntries } from '../src/db/schema.ts'
import { checkLedger } from '../src/ledger/check-ledger.ts'
import { openApp } from './open-app.ts'
import { jsonOf } from './test-gateway.ts'

const lily = 10n ** 18n
const rules: DepositRules = { confirmations: 3, least: lily }
const log = pino({ level: 'silent' })
let net: TestChain
let anvil: ReturnType<typeof createAnvil>
let database: Database
let closeDatabase: () => Promise<void>
let chain: ReturnType<typeof createDepositChain>
let vaultBefore = 0n

const createAnvil = (url: string) => createTestClient({ mode: 'anvil', transport: http(url) })

beforeAll(async () => {
  net = await startTestChain()
  anvil = createAnvil(net.network.rpcUrl)
  const { signer } = await net.createActor()
  chain = createDepositChain({ network: net.network, signer, payer: signer.address })
  ;({ database, close: closeDatabase } = await openDatabase({ databaseUrl: process.env.DATABASE_URL }))
})
afterAll(async () => {
  await closeDatabase?.()
  await net?.close()
})
beforeEach(async () => {
  vaultBefore = await readVault()
})
afterEach(async () => {
  expect(await checkLedger(database, chain)).toMatchObject({ isBalanced: true, faults: [] })
})

const openAccount = async () => {
  const id = await createAccount(database, { name: randomUUID(), now: 1 })
  return { id, address: await openDepositAddress({ database, chain }, id) }
}
const send = (to: `0x${string}`, amount: bigint) =>
  sendCallSync(net.deployer, transferCall({ token: net.network.contracts.lilyToken, to, amount }))
const watch = (reader: DepositChain = chain) => watchDeposits({ database, chain: reader, rules, log })
const mine = (blocks = rules.confirmations) => anvil.mine({ blocks })
const balanceOf = async (id: string) => (await getBalance(database, id)).balance
const readVault = async () =>
  (await getAccount(net.deployer, { payer: chain.payer, token: net.network.contracts.lilyToken })).balance

/** What came into the vault since the test began. */
const inVault = async () => (await readVault()) - vaultBefore

describe('tokens sent to an account’s address', () => {
  test('are in the vault at once, and in the account once they are confirmed', async () => {
    const { id, address } = await openAccount()
    await send(address, 5n * lily)
    await watch()
    expect([await inVault(), await balanceOf(id)]).toEqual([5n * lily, 0n])
    await mine(1)
    await watch()
    expect(await balanceOf(id)).toBe(0n)
    await mine(1)
    await watch()
    expect(await balanceOf(id)).toBe(5n * lily)
    // The code is there now: the next ones come by another way.
    await send(address, 2n * lily)
    await watch()
    await mine()
    await Promise.all([watch(), watch(), watch()])
    await watch()
    expect([await inVault(), await balanceOf(id)]).toEqual([7n * lily, 7n * lily])
  })

  test('count for the account they were sent for, and the operator’s own for nobody', async () => {
    const [one, other] = [await openAccount(), await openAccount()]
    const token = net.network.contracts.lilyToken
    await send(one.address, lily)
    await send(other.address, 2n * lily)
    await sendCallSync(net.deployer, approveCall({ token, spender: net.network.contracts.jobVault, amount: 9n * lily }))
    await deposit.sync(net.deployer, { token, amount: 9n * lily, beneficiary: chain.payer })
    await watch()
    await mine()
    await watch()
    expect([await balanceOf(one.id), await balanceOf(other.id), await inVault()]).toEqual([lily, 2n * lily, 12n * lily])
  })

  test('wait where they are fewer than the least, and come with the next', async () => {
    const { id, address } = await openAccount()
    await send(address, lily / 2n)
    await watch()
    expect(await inVault()).toBe(0n)
    await send(address, lily / 2n)
    await watch()
    await mine()
    await watch()
    expect(await balanceOf(id)).toBe(lily)
  })

  test('can be moved by anybody, whether or not the gateway runs', async () => {
    const { id, address } = await openAccount()
    await send(address, 3n * lily)
    const stranger = await net.createActor()
    const salt = keccak256(new TextEncoder().encode(`lilypad-gateway ${id}`))
    const { lilyToken: token } = net.network.contracts
    await sweepDepositAddress(stranger.client, { beneficiary: chain.payer, token, salt })
    await mine()
    await watch()
    expect([await inVault(), await balanceOf(id)]).toEqual([3n * lily, 3n * lily])
  })
})

describe('when the chain is reorganised', () => {
  test('what was not confirmed and is gone is not credited; sent again it is, once', async () => {
    const { id, address } = await openAccount()
    await watch()
    const snapshot = await anvil.snapshot()
    await send(address, lily)
    await watch()
    await anvil.revert({ id: snapshot })
    await mine()
    await watch()
    expect(await balanceOf(id)).toBe(0n)
    await send(address, lily)
    await watch()
    await mine()
    await watch()
    await watch()
    expect([await inVault(), await balanceOf(id)]).toEqual([lily, lily])
  })

  test('deeper than its confirmations, it is told, and what comes after still counts', async () => {
    const { id, address } = await openAccount()
    const snapshot = await anvil.snapshot()
    await mine(10)
    await watch()
    await anvil.revert({ id: snapshot })
    await mine(1)
    const lines: string[] = []
    const loud = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) })
    await send(address, lily)
    await watchDeposits({ database, chain, rules, log: loud })
    // The chain is shorter than what was read: nothing counts until it is longer again.
    await mine(30)
    await watchDeposits({ database, chain, rules, log: loud })
    await mine()
    await watchDeposits({ database, chain, rules, log: loud })
    expect(lines.join('')).toContain('deposit.reorganised')
    expect(await balanceOf(id)).toBe(lily)
  })
})

test('whatever step fails, before or after it was done, everything is credited once', async () => {
  const { id, address } = await openAccount()
  let expected = 0n
  for (let failAt = 0, steps = 1; failAt < steps * 2; failAt += 1) {
    await send(address, lily)
    expected += lily
    steps = 0
    const breaking: DepositChain = new Proxy<DepositChain>(chain, {
      get(target, member: keyof DepositChain) {
        const value = target[member]
        if (typeof value !== 'function' || member === 'addressOf') return value
        return async (...args: never[]) => {
          const step = steps++
          if (step * 2 === failAt) throw new Error('cut before')
          const result = await (value as (...args: never[]) => Promise<unknown>).apply(target, args)
          if (step * 2 + 1 === failAt) throw new Error('cut after')
          return result
        }
      },
    })
    await watch(breaking).catch(() => undefined)
    await mine()
    await watch(breaking).catch(() => undefined)
    if (steps * 2 <= failAt) break
  }
  await watch()
  await mine()
  await watch()
  expect(expected).toBeGreaterThan(10n * lily)
  expect([await inVault(), await balanceOf(id)]).toEqual([expected, expected])
})

describe('the check of the ledger tells', () => {
  const told = async () => (await checkLedger(database, chain)).faults.join('\n')
  let id: string
  beforeEach(async () => {
    const opened = await openAccount()
    id = opened.id
    await send(opened.address, 5n * lily)
    await watch()
    await mine()
    await watch()
  })
  const entry = () => eq(ledgerEntries.accountId, id)

  test('a deposit that was entered as another amount', async () => {
    const change = async (by: number) => {
      await database
        .update(ledgerEntries)
        .set({ amount: sql`amount + ${by}` })
        .where(entry())
      await database
        .update(accounts)
        .set({ balance: sql`balance + ${by}` })
        .where(eq(accounts.id, id))
    }
    await change(1)
    expect(await told()).toMatch(
      /deposit:0x\w+:0 is 5000000000000000000 of 0x\w+ on chain, entered as 5000000000000000001/,
    )
    await change(-1)
  })

  test('a deposit that was not entered, and one that never was', async () => {
    const [kept] = await database.select().from(ledgerEntries).where(entry())
    const rename = (reference: string) => database.update(ledgerEntries).set({ reference }).where(entry())
    await rename('deposit:0x00:0')
    expect(await told()).toMatch(
      /is on chain and not entered\ndeposit:0x00:0 of 5000000000000000000 is entered and not on chain/,
    )
    await rename(kept?.reference ?? '')
  })

  test('a balance that is not the sum of its entries, and a key that is not that of its requests', async () => {
    const app = await openApp({ database })
    const { keyId } = await app.openAccount()
    await app.close()
    const change = async (by: number) => {
      await database
        .update(accounts)
        .set({ balance: sql`balance + ${by}` })
        .where(eq(accounts.id, id))
      await database
        .update(apiKeys)
        .set({ spent: sql`spent + ${by}` })
        .where(eq(apiKeys.id, keyId))
    }
    await change(1)
    const faults = await told()
    expect(faults).toContain(`account ${id} has 5000000000000000001, its entries are 5000000000000000000`)
    expect(faults).toContain(`key ${keyId} has other sums`)
    expect(faults).toContain('balances and jobs')
    await change(-1)
  })
})

test('a customer asks where to send them', async () => {
  const app = await openApp({ deposits: { chain, rules }, database })
  const plain = await openApp()
  try {
    const { key } = await app.openAccount()
    const ask = (url: string, shown: string) =>
      fetch(`${url}/v1/account/deposit`, { headers: { authorization: `Bearer ${shown}` } })
    const view = await jsonOf(ask(app.url, key))
    expect(view).toMatchObject({ chain_id: 31_337, least: '1', confirmations: 3, currency: 'LILY' })
    expect(await jsonOf(ask(app.url, key))).toEqual(view)
    expect((await ask(plain.url, (await plain.openAccount()).key)).status).toBe(404)
  } finally {
    await plain.close()
    await app.close()
  }
})
