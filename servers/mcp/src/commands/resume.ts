import { type ClientStore, closedBreaker, SpendingStoppedError } from '@lilypad-agents/sdk'
import { assertInteractive } from './approve.ts'
import type { Terminal } from './terminal.ts'

/** Lets spending go on after a person has seen why it was stopped. */
export async function resumeSpending(store: ClientStore, terminal: Terminal): Promise<'resumed' | 'stopped' | 'open'> {
  assertInteractive(terminal, 'resume')
  const breaker = await store.transaction((transaction) => transaction.findBreaker())
  if (!breaker.stopped) {
    terminal.write('Spending is not stopped.\n')
    return 'open'
  }
  terminal.write(`${new SpendingStoppedError(breaker).details.join('\n')}\n`)
  const answer = await terminal.ask('Have you seen the ledger, and may spending go on? [y/N] ')
  if (!/^y(es)?$/i.test(answer)) {
    terminal.write('It stays stopped.\n')
    return 'stopped'
  }
  const resumedAt = Math.floor(Date.now() / 1000)
  await store.transaction((transaction) => transaction.putBreaker({ ...closedBreaker, resumedAt }))
  terminal.write('Spending goes on, within its limits.\n')
  return 'resumed'
}
