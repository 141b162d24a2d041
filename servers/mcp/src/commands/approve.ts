import { LilypadError, parseWire, Bytes32 } from '@lilypad-agents/protocol'
import {
  type ClientStore,
  type Network,
  QuoteExpiredError,
  QuoteUnknownError,
  type StoredApproval,
} from '@lilypad-agents/sdk'
import { type ApprovalFacts, approvalFacts, factsText } from '../approval/approval-facts.ts'
import { decide } from '../approval/decide.ts'
import { formatAmount, withToken } from '../money/token.ts'
import { cleanLine } from '../text/clean-text.ts'
import { table, type Terminal } from './terminal.ts'

/** There is nobody to ask. */
class NoTerminalError extends LilypadError {
  override readonly name = 'NoTerminalError'
  constructor(command: string) {
    super('UNAUTHORIZED', `\`lilypad-mcp ${command}\` asks a person, and this is no terminal.`, {
      hint: 'run it in a terminal, not from a script or an agent',
    })
  }
}

/** @throws NoTerminalError when nobody can be asked */
export function assertInteractive({ isInteractive }: Terminal, command: string): void {
  if (!isInteractive) throw new NoTerminalError(command)
}

/**
 * Lets a person approve or decline one order, or one payment to another server: shows what it is, and takes the amount typed out as consent.
 * @throws QuoteUnknownError QuoteExpiredError
 */
export async function approveQuote(options: {
  readonly store: ClientStore
  readonly network: Network
  readonly quoteId: string
  readonly terminal: Terminal
  /** Facts of what is no quote: a payment to another server. */
  readonly findPayment?: (id: Bytes32) => ApprovalFacts | undefined
}): Promise<'approved' | 'declined'> {
  const { store, network, terminal, findPayment } = options
  assertInteractive(terminal, 'approve')
  const id = parseWire(Bytes32, options.quoteId, 'id of a quote')
  const { stored, approval, job } = await store.transaction((transaction) => ({
    stored: transaction.findQuote(id),
    approval: transaction.findApproval(id),
    job: transaction.findJobByQuote(id),
  }))
  const facts = stored ? approvalFacts(stored, { network, left: approval?.left ?? 0n }) : findPayment?.(id)
  if (!facts) throw new QuoteUnknownError(id)
  if (job || approval?.state === 'used') {
    throw new LilypadError('QUOTE_USED', 'This order is placed already; there is nothing to approve.', {
      hint: '`lilypad-mcp ledger` shows it',
    })
  }
  const { maxPrice, validUntil } = facts
  const now = Math.floor(Date.now() / 1000)
  if (validUntil <= now) throw new QuoteExpiredError({ expiredAt: validUntil, now })
  // Without a server that asked, nothing is known of its limits.
  const lines = approval ? facts.lines : facts.lines.filter(([name]) => name !== 'May still be spent')
  terminal.write(`${factsText({ ...facts, lines })}\n\n`)
  const amount = formatAmount(maxPrice)
  const answer = await terminal.ask(
    `Type ${amount} to approve ${withToken(maxPrice)} at most; anything else declines: `,
  )
  const isApproved = answer === amount || /^y(es)?$/i.test(answer)
  await decide(store, { id, maxPrice, isApproved, way: 'cli', validUntil })
  const done = stored ? 'run the quote now' : facts.again
  terminal.write(isApproved ? `Approved. The assistant can ${done}.\n` : 'Declined. Nothing is spent.\n')
  return isApproved ? 'approved' : 'declined'
}

/** What waits for a person, that can still be ordered. */
export async function listWaiting(store: ClientStore): Promise<readonly StoredApproval[]> {
  const now = Math.floor(Date.now() / 1000)
  const all = await store.transaction((transaction) => transaction.listApprovals())
  return all.filter(({ state, validUntil }) => state === 'wanted' && validUntil > now)
}

/** Shows what waits. */
export async function showWaiting(
  store: ClientStore,
  terminal: Pick<Terminal, 'write'>,
  stateDirectory: string,
): Promise<void> {
  const waiting = await listWaiting(store)
  if (waiting.length === 0) return terminal.write(`Nothing waits for approval in ${stateDirectory}.\n`)
  const rows = await store.transaction((transaction) =>
    waiting.map(({ id, maxPrice, validUntil }) => [
      id,
      cleanLine(transaction.findQuote(id)?.quote.module ?? 'another payment', 64),
      withToken(maxPrice),
      new Date(validUntil * 1000).toISOString(),
    ]),
  )
  terminal.write(table([['quote', 'module', 'at most', 'until'], ...rows]))
  terminal.write('\nApprove one by giving its quote to this command.\n')
}
