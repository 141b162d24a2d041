import { and, desc, eq, gte } from 'drizzle-orm'
import {
  type Address,
  completeLane,
  laneId,
  parseSettlementLanes,
  SettlementLanes,
  voucherType,
} from '@lilypad-agents/protocol'
import type { ChainAccount } from '../chain/chain.ts'
import { nowSeconds, type SolverContext } from '../context.ts'
import { announcements, ledgers } from '../db/schema.ts'

/** What a payer has for new promises. */
export type Funds = {
  readonly account: ChainAccount
  /** Balance less what is on its way out; what is promised to jobs is still in it. */
  readonly spendable: bigint
  /** Counter of the ledger before the balance was read: another one now means that the balance is old. */
  readonly settlements: number
}

/** How long after its last second an announcement still counts: clocks differ, and blocks take time. */
const lateSeconds = 900
/** Announcements of one payer that are looked up on chain; more of them count whole. */
const maxLookedUp = 50

/** Reads a payer's money. Pending money still pays jobs that run, but no new promise is made against it. */
export async function readFunds(
  context: SolverContext,
  of: { readonly payer: Address; readonly token: Address },
): Promise<Funds> {
  const [ledger] = await context.database
    .select({ settlements: ledgers.settlements })
    .from(ledgers)
    .where(and(eq(ledgers.payer, of.payer), eq(ledgers.token, of.token)))
  const [account, announced] = await Promise.all([context.chain.getAccount(of), sumAnnounced(context, of)])
  return {
    account,
    spendable: account.balance - account.pendingWithdrawal - announced,
    settlements: ledger?.settlements ?? 0,
  }
}

/** What leaves by announced settlements that can still be executed. */
async function sumAnnounced(
  context: SolverContext,
  of: { readonly payer: Address; readonly token: Address },
): Promise<bigint> {
  const rows = await context.database
    .select()
    .from(announcements)
    .where(
      and(
        eq(announcements.payer, of.payer),
        eq(announcements.token, of.token),
        gte(announcements.expiresAt, nowSeconds(context) - lateSeconds),
      ),
    )
    .orderBy(desc(announcements.expiresAt))
  const amounts = await Promise.all(
    rows.map(async ({ amount, settlement }, index) => {
      if (settlement === null || index >= maxLookedUp) return amount
      return (await isExecutable(context, SettlementLanes.parse(JSON.parse(settlement)))) ? amount : 0n
    }),
  )
  return amounts.reduce((sum, amount) => sum + amount, 0n)
}

/** The signature in the bytes fits one progress of the lane alone, so they are dead once the lane has moved on. */
async function isExecutable(context: SolverContext, settlement: SettlementLanes): Promise<boolean> {
  const [packed] = parseSettlementLanes(settlement)
  if (!packed) return true
  const progress = await context.chain.getLane(laneId({ ...settlement, ...packed }))
  const { voucher } = completeLane(settlement, packed, progress)
  return voucherType.findSigner(context.domain, voucher, packed.signature) === packed.key
}
