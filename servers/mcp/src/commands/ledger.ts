import type { ClientStore } from '@lilypad-agents/sdk'
import { SpendingStoppedError, sumSpend } from '@lilypad-agents/sdk'
import { paymentOf, stateOf } from '../job/job-result.ts'
import { formatAmount, tokenSymbol } from '../money/token.ts'
import { cleanLine } from '../text/clean-text.ts'
import { table, type Terminal } from './terminal.ts'

/** What was spent with a state folder, job by job and payment by payment, the newest first. Amounts are in LILY, as text. */
export async function readLedger(store: ClientStore) {
  const now = Math.floor(Date.now() / 1000)
  const { jobs, payments, ledger, breaker } = await store.transaction((transaction) => ({
    jobs: transaction.listJobs(),
    payments: transaction.listPayments(),
    ledger: transaction.listLedger(),
    breaker: transaction.findBreaker(),
  }))
  const { day, total, hourJobs, openJobs } = sumSpend(ledger, now)
  const entries = [
    ...jobs.map((job) => ({
      at: job.orderedAt,
      kind: 'job',
      id: job.orderHash,
      what: cleanLine(job.module.name, 64),
      state: stateOf(job),
      payment: paymentOf(job) as string,
      max_charge: formatAmount(job.order.maxPrice),
      charged: job.price === null ? null : formatAmount(job.price),
      transaction: job.settlement?.transaction ?? null,
    })),
    ...payments.map((payment) => ({
      at: payment.reservedAt,
      kind: 'payment',
      id: payment.id,
      what: cleanLine(payment.purpose, 64),
      state: payment.state as string,
      payment: payment.state === 'committed' ? 'settled' : payment.state === 'released' ? 'none' : 'reserved',
      max_charge: formatAmount(payment.maxPrice),
      charged: payment.price === null ? null : formatAmount(payment.price),
      transaction: null,
    })),
  ].sort((a, b) => b.at - a.at)
  return {
    token: tokenSymbol,
    spent: { last_24h: formatAmount(day), total: formatAmount(total) },
    last_hour: hourJobs,
    open: openJobs,
    stopped: breaker.stopped ? new SpendingStoppedError(breaker).details.join() : null,
    entries: entries.map(({ at, ...entry }) => ({ at: new Date(at * 1000).toISOString(), ...entry })),
  }
}

/** Shows the ledger as a table, or as JSON. */
export async function showLedger(
  store: ClientStore,
  { terminal, isJson }: { readonly terminal: Pick<Terminal, 'write'>; readonly isJson: boolean },
): Promise<void> {
  const ledger = await readLedger(store)
  if (isJson) return terminal.write(`${JSON.stringify(ledger, null, 2)}\n`)
  const rows = ledger.entries.map(({ at, what, state, payment, max_charge, charged, id }) => [
    at.slice(0, 19),
    what,
    state,
    payment,
    charged ?? '-',
    max_charge,
    id,
  ])
  terminal.write(table([['at', 'for', 'state', 'payment', 'charged', 'at most', 'id'], ...rows]))
  const { spent, stopped } = ledger
  terminal.write(
    `\n${spent.last_24h} ${tokenSymbol} in 24 hours, ${spent.total} ${tokenSymbol} ever, with what is reserved.\n`,
  )
  if (stopped) terminal.write(`Spending is stopped. ${stopped}. Resume with: lilypad-mcp resume\n`)
}
