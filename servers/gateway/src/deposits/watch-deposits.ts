import { eq, inArray, isNotNull } from 'drizzle-orm'
import { type Address, LilypadError } from '@lilypad-agents/protocol'
import { enterChange } from '../account/account.ts'
import type { Database } from '../db/open-database.ts'
import { accounts, chainCursors } from '../db/schema.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import type { Block, Deposit, DepositChain } from './deposit-chain.ts'

export type DepositRules = {
  /** Blocks after which a deposit counts, its own included. */
  readonly confirmations: number
  /** Least that is moved into the vault, in base units: less costs more gas than it brings. */
  readonly least: bigint
}

export type DepositContext = {
  readonly database: Database
  readonly chain: DepositChain
  readonly rules: DepositRules
  readonly log: Logger
}

/** Blocks that one call asks for, and addresses of one filter. */
const blocksAtOnce = 2000n
const addressesAtOnce = 500
/** How far a cursor goes back when its block is gone: deeper than any reorganisation that leaves a chain worth its name. */
const reorganisedBlocks = 1000n

/** What names a deposit in the ledger. */
export const referenceOf = ({ transaction, ordinal }: Pick<Deposit, 'transaction' | 'ordinal'>): string =>
  `deposit:${transaction}:${ordinal}`

/**
 * The address where an account's customer sends tokens. It is watched from now on.
 * @throws RpcUnreachableError while it is not known from where on
 */
export async function openDepositAddress(
  { database, chain }: Pick<DepositContext, 'database' | 'chain'>,
  accountId: string,
): Promise<Address> {
  await beginDeposits({ database, chain })
  const depositAddress = chain.addressOf(accountId)
  await database.update(accounts).set({ depositAddress }).where(eq(accounts.id, accountId))
  return depositAddress
}

/** Begins where the chain is now, unless it was begun before. */
async function beginDeposits({ database, chain }: Pick<DepositContext, 'database' | 'chain'>): Promise<void> {
  const names = [chain.name, sweepsOf(chain)]
  const known = await database.select().from(chainCursors).where(inArray(chainCursors.name, names))
  if (known.length === names.length) return
  const { number, hash } = await chain.getBlock(await chain.getHead())
  await database
    .insert(chainCursors)
    .values(names.map((name) => ({ name, startBlock: number, blockNumber: number, blockHash: hash })))
    .onConflictDoNothing()
}

const sweepsOf = ({ name }: DepositChain) => `sweeps of ${name}`

/** Moves what was sent into the vault, then credits what is confirmed there. Each part goes on where it stopped, whoever did it last. */
export async function watchDeposits(context: DepositContext): Promise<void> {
  await beginDeposits(context)
  await sweepArrivals(context).catch((error: unknown) => context.log.error(failureFacts(error), 'deposit.unswept'))
  await creditDeposits(context)
}

/** Sweeps addresses that were sent tokens. The place is noted after all of it is done: what is swept again has nothing to sweep. */
async function sweepArrivals({ database, chain, rules, log }: DepositContext): Promise<void> {
  const name = sweepsOf(chain)
  const cursor = await readCursor(database, name)
  const head = await chain.getHead()
  const owners = await database
    .select({ id: accounts.id, address: accounts.depositAddress })
    .from(accounts)
    .where(isNotNull(accounts.depositAddress))
  const idOf = new Map(owners.map(({ id, address }) => [address, id]))
  const addresses = owners.flatMap(({ address }) => address ?? [])
  // Blocks that could still go are looked at again.
  const isThere = await isStillThere(chain, cursor, head)
  const from = back(isThere ? cursor.number : head, isThere ? BigInt(rules.confirmations) : reorganisedBlocks)
  for (let start = from; start <= head; start += blocksAtOnce) {
    const end = start + blocksAtOnce - 1n < head ? start + blocksAtOnce - 1n : head
    for (let index = 0; index < addresses.length; index += addressesAtOnce) {
      const some = addresses.slice(index, index + addressesAtOnce)
      for (const address of await chain.listArrivals(some, start, end)) {
        const accountId = idOf.get(address)
        if (accountId === undefined || (await chain.getWaiting(accountId)) < rules.least) continue
        const transaction = await chain.sweep(accountId)
        log.info({ accountId, transaction }, 'deposit.swept')
      }
    }
    await writeCursor(database, name, await chain.getBlock(end))
  }
}

/** Whether the block up to which a chain was read is part of it. */
const isStillThere = async (chain: DepositChain, { number, hash }: Block, head: bigint): Promise<boolean> =>
  number <= head && (await chain.getBlock(number)).hash === hash

const back = (block: bigint, blocks: bigint): bigint => (block > blocks ? block - blocks : 0n)

/** Credits deposits that are deep enough. Deposits and the new place are written together. */
async function creditDeposits({ database, chain, rules, log }: DepositContext): Promise<void> {
  const { name } = chain
  const cursor = await readCursor(database, name)
  const head = await chain.getHead()
  const confirmed = head - BigInt(rules.confirmations) + 1n
  let from = cursor.number + 1n
  if (!(await isStillThere(chain, cursor, head))) {
    log.error({ block: String(cursor.number), confirmations: rules.confirmations }, 'deposit.reorganised')
    // What was credited and comes again has the same name; what never comes again `ledger check` tells.
    from = back(confirmed, reorganisedBlocks)
  }
  for (let start = from; start <= confirmed; start += blocksAtOnce) {
    const end = start + blocksAtOnce - 1n < confirmed ? start + blocksAtOnce - 1n : confirmed
    // The hash first: were the blocks to go in between, the next pass would find this one gone.
    const block = await chain.getBlock(end)
    const deposits = await chain.listDeposits(start, end)
    const now = Math.floor(Date.now() / 1000)
    await database.transaction(async (transaction) => {
      const senders = [...new Set(deposits.map(({ from }) => from))]
      const owners =
        senders.length === 0
          ? []
          : await transaction
              .select({ id: accounts.id, address: accounts.depositAddress })
              .from(accounts)
              .where(inArray(accounts.depositAddress, senders))
      for (const deposit of deposits) {
        // From any other address it is the operator's own money.
        const accountId = owners.find(({ address }) => address === deposit.from)?.id
        if (accountId === undefined) continue
        const { amount } = deposit
        const reference = referenceOf(deposit)
        const balance = await enterChange(transaction, { accountId, source: 'deposit', amount, reference, now })
        if (balance !== undefined) log.info({ accountId, reference, amount: String(amount) }, 'deposit.credited')
      }
      await writeCursor(transaction, name, block)
    })
  }
}

async function readCursor(database: Pick<Database, 'select'>, name: string): Promise<Block> {
  const [found] = await database.select().from(chainCursors).where(eq(chainCursors.name, name))
  if (!found) throw new LilypadError('INTERNAL', 'The deposits were not begun.')
  return { number: found.blockNumber, hash: found.blockHash }
}

/** Another replica may write an older place over it: then some blocks are read twice, and count once. */
async function writeCursor(database: Pick<Database, 'update'>, name: string, { number, hash }: Block): Promise<void> {
  await database.update(chainCursors).set({ blockNumber: number, blockHash: hash }).where(eq(chainCursors.name, name))
}
