import { and, eq, inArray, isNotNull, type SQL, sql } from 'drizzle-orm'
import type { Bytes32 } from '@lilypad-agents/protocol'
import type { Database, Transaction } from '../db/open-database.ts'
import { accounts, apiKeys, chainCursors, ledgerEntries, requests, topUps } from '../db/schema.ts'
import type { DepositChain } from '../deposits/deposit-chain.ts'
import { referenceOf } from '../deposits/watch-deposits.ts'
import { x402Payments } from '../x402/payment-tables.ts'

/** What of a chain the ledger is compared with. */
export type LedgerChain = Pick<DepositChain, 'name' | 'listDeposits'> & {
  /** What of these jobs the chain has paid, from a block on. */
  listSettled(
    orderHashes: readonly Bytes32[],
    from: bigint,
  ): Promise<readonly { readonly orderHash: Bytes32; readonly receiptHash: Bytes32; readonly price: bigint }[]>
  /** What the gateway has in the vault. */
  getVaultBalance(): Promise<bigint>
}

/**
 * The money of all accounts, in base units of LILY. It is balanced when `balances + jobs = operator + deposits + cards + payments` and nothing is
 * in `faults`: every balance is the sum of its entries, every entry has its other side, and each side is where it should be.
 */
export type LedgerReport = {
  readonly isBalanced: boolean
  /** What is wrong, in words; at most 100. */
  readonly faults: readonly string[]
  readonly accounts: number
  readonly balances: bigint
  readonly reserved: bigint
  /** Charged for jobs. */
  readonly jobs: bigint
  readonly operator: bigint
  readonly deposits: bigint
  readonly cards: bigint
  /** Paid by strangers over x402, less what went back. */
  readonly payments: bigint
  /** Undefined without a chain to compare with. */
  readonly comparedToBlock: number | undefined
  /** Of the charged jobs, what the chain has paid already. */
  readonly settled: bigint | undefined
  /** Paid by the gateway for jobs that no customer was charged for: claims of providers after an answer was refused. */
  readonly borne: bigint | undefined
  /** What the gateway has in the vault, and what of that is nobody's: below nothing, the operator owes the vault. */
  readonly vault: bigint | undefined
  readonly own: bigint | undefined
}

const mostFaults = 100
const blocksAtOnce = 2000n
const ordersAtOnce = 500

/** Compares every account with its entries, and the entries with jobs, cards and, where one is given, the chain. It changes nothing. */
export async function checkLedger(database: Database, chain: LedgerChain | undefined): Promise<LedgerReport> {
  const faults: string[] = []
  // The chain is read after the books were: what it says beyond the cursor is not looked at.
  const books = await database.transaction((transaction) => readBooks(transaction, faults, chain), {
    isolationLevel: 'repeatable read',
    accessMode: 'read only',
  })
  const { sums, cursor, orders } = books
  const { balances, jobs, operator, cards, payments } = sums
  const credits = operator + sums.deposits + cards + payments
  if (balances + jobs !== credits) faults.push(`balances and jobs are ${balances + jobs}, credits are ${credits}`)
  let compared: Pick<LedgerReport, 'comparedToBlock' | 'settled' | 'borne' | 'vault' | 'own'> = {
    ...{ comparedToBlock: undefined, settled: undefined, borne: undefined, vault: undefined, own: undefined },
  }
  if (chain && cursor) {
    await compareDeposits(chain, cursor, books, faults)
    const { settled, borne } = await compareJobs(chain, cursor.startBlock, orders, faults)
    const vault = await chain.getVaultBalance()
    const own = vault - (jobs - settled) - balances
    compared = { comparedToBlock: Number(cursor.blockNumber), settled, borne, vault, own }
  }
  return { isBalanced: faults.length === 0, faults: faults.slice(0, mostFaults), ...sums, ...compared }
}

async function readBooks(transaction: Transaction, faults: string[], chain: LedgerChain | undefined) {
  const amount = (text: unknown) => BigInt(String(text ?? 0))
  const rows = async (query: SQL): Promise<readonly Readonly<Record<string, unknown>>[]> => {
    const result: unknown = await transaction.execute(query)
    // PGlite wraps the rows, the server's driver does not.
    return Array.isArray(result) ? result : (result as { readonly rows: [] }).rows
  }
  for (const { id, kept, is } of await rows(sql`
    select a.id, a.balance as kept, coalesce(e.total, 0) as is from ${accounts} a
    left join (select account_id, sum(amount) as total from ${ledgerEntries} group by account_id) e on e.account_id = a.id
    where a.balance <> coalesce(e.total, 0) limit ${mostFaults}`))
    faults.push(`account ${id} has ${kept}, its entries are ${is}`)
  for (const { id, kept, is } of await rows(sql`
    select a.id, a.reserved as kept, coalesce(r.held, 0) as is from ${accounts} a
    left join (select account_id, sum(held) as held from ${requests} where state = 'reserved' group by account_id) r on r.account_id = a.id
    where a.reserved <> coalesce(r.held, 0) limit ${mostFaults}`))
    faults.push(`account ${id} has ${kept} reserved, its requests hold ${is}`)
  for (const { id } of await rows(sql`
    select k.id from ${apiKeys} k
    left join (select key_id, sum(case when state = 'reserved' then held else 0 end) as held,
      sum(case when state = 'charged' then price else 0 end) as spent from ${requests} group by key_id) r on r.key_id = k.id
    where k.reserved <> coalesce(r.held, 0) or k.spent <> coalesce(r.spent, 0) limit ${mostFaults}`))
    faults.push(`key ${id} has other sums than its requests`)
  for (const { id, price, entered } of await rows(sql`
    select coalesce(r.id, e.request_id) as id, r.price, e.amount as entered
    from (select * from ${requests} where state = 'charged' and price > 0) r
    full join (select * from ${ledgerEntries} where source = 'job') e on e.request_id = r.id
    where r.id is null or e.id is null or e.amount <> -r.price or e.account_id <> r.account_id limit ${mostFaults}`))
    faults.push(`request ${id} was charged ${price ?? 'nothing'}, the ledger says ${entered ?? 'nothing'}`)
  for (const { id, credited, entered } of await rows(sql`
    select coalesce(t.id, e.top_up) as id, t.credited, e.total as entered from ${topUps} t
    full join (select split_part(reference, ':', 2) as top_up, sum(amount) as total from ${ledgerEntries} where source = 'card' group by 1) e
      on e.top_up = t.id
    where t.id is null or t.credited <> coalesce(e.total, 0) or t.credited > t.credit or (t.state <> 'paid' and t.credited <> 0)
    limit ${mostFaults}`))
    faults.push(`top-up ${id} says ${credited ?? 'nothing'}, the ledger says ${entered ?? 'nothing'}`)
  for (const { id, due, entered } of await rows(sql`
    select p.id, p.due, coalesce(e.amount, 0) as entered
    from (select id, case when state in ('settled', 'returning', 'closed') then cap + fee else 0 end as due from ${x402Payments}) p
    left join ${ledgerEntries} e on e.reference = 'x402:' || p.id
    where p.due <> coalesce(e.amount, 0) limit ${mostFaults}`))
    faults.push(`payment ${id} is worth ${due}, the ledger says ${entered}`)
  const [held] = await rows(sql`
    select count(*) as accounts, coalesce(sum(balance), 0) as balances, coalesce(sum(reserved), 0) as reserved from ${accounts}`)
  const bySource = new Map(
    (await rows(sql`select source, sum(amount) as total from ${ledgerEntries} group by source`)).map(
      ({ source, total }) => [source, amount(total)],
    ),
  )
  const sums = {
    accounts: Number(held?.accounts ?? 0),
    balances: amount(held?.balances),
    reserved: amount(held?.reserved),
    jobs: -(bySource.get('job') ?? 0n),
    operator: bySource.get('operator') ?? 0n,
    deposits: bySource.get('deposit') ?? 0n,
    cards: bySource.get('card') ?? 0n,
    payments: bySource.get('x402') ?? 0n,
  }
  if (!chain) return { sums, cursor: undefined, addresses: [], deposits: [], orders: [] }
  const [cursor] = await transaction.select().from(chainCursors).where(eq(chainCursors.name, chain.name))
  const addresses = await transaction
    .select({ address: accounts.depositAddress })
    .from(accounts)
    .where(isNotNull(accounts.depositAddress))
  const deposits = await transaction
    .select({ reference: ledgerEntries.reference, amount: ledgerEntries.amount, address: accounts.depositAddress })
    .from(ledgerEntries)
    .innerJoin(accounts, eq(accounts.id, ledgerEntries.accountId))
    .where(eq(ledgerEntries.source, 'deposit'))
  const orders = await transaction
    .select({ id: requests.id, orderHash: requests.orderHash, price: requests.price, state: requests.state })
    .from(requests)
    .where(and(isNotNull(requests.orderHash), inArray(requests.state, ['charged', 'released'])))
  return { sums, cursor, addresses: addresses.map(({ address }) => address), deposits, orders }
}

type Entered = { readonly reference: string | null; readonly amount: bigint; readonly address: string | null }

/** Each deposit on chain is entered as it is, and each entry is on chain. */
async function compareDeposits(
  chain: LedgerChain,
  cursor: typeof chainCursors.$inferSelect,
  books: { readonly deposits: readonly Entered[]; readonly addresses: readonly (string | null)[] },
  faults: string[],
): Promise<void> {
  const left = new Map(books.deposits.map((entry) => [entry.reference, entry]))
  const { startBlock, blockNumber } = cursor
  const addresses = new Set(books.addresses)
  for (let start = startBlock; start <= blockNumber; start += blocksAtOnce) {
    const end = start + blocksAtOnce - 1n < blockNumber ? start + blocksAtOnce - 1n : blockNumber
    for (const deposit of await chain.listDeposits(start, end)) {
      const reference = referenceOf(deposit)
      const entry = left.get(reference)
      if (!entry) {
        if (addresses.has(deposit.from)) faults.push(`${reference} of ${deposit.amount} is on chain and not entered`)
        continue
      }
      left.delete(reference)
      if (entry.amount !== deposit.amount || entry.address !== deposit.from)
        faults.push(`${reference} is ${deposit.amount} of ${deposit.from} on chain, entered as ${entry.amount}`)
    }
  }
  for (const { reference, amount } of left.values())
    faults.push(`${reference} of ${amount} is entered and not on chain`)
}

type Order = {
  readonly id: string
  readonly orderHash: Bytes32 | null
  readonly price: bigint | null
  readonly state: string
}

/** What the chain paid for a job is what its customer was charged. */
async function compareJobs(
  chain: LedgerChain,
  from: bigint,
  orders: readonly Order[],
  faults: string[],
): Promise<{ readonly settled: bigint; readonly borne: bigint }> {
  let settled = 0n
  let borne = 0n
  for (let index = 0; index < orders.length; index += ordersAtOnce) {
    const some = new Map(
      orders.slice(index, index + ordersAtOnce).flatMap((order) => (order.orderHash ? [[order.orderHash, order]] : [])),
    )
    for (const { orderHash, price } of await chain.listSettled([...some.keys()], from)) {
      const order = some.get(orderHash)
      if (order?.state !== 'charged') borne += price
      else if (order.price === price) settled += price
      else faults.push(`job ${orderHash} was paid ${price} on chain, request ${order.id} was charged ${order.price}`)
    }
  }
  return { settled, borne }
}
