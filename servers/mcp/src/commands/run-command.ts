import { existsSync } from 'node:fs'
import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import type { McpCommand } from '../config/read-command.ts'
import { readNetwork } from '../config/read-network.ts'
import { findPaymentFacts } from '../x402/buy/payment-facts.ts'
import { approveQuote, showWaiting } from './approve.ts'
import { runDoctor } from './doctor.ts'
import { showLedger } from './ledger.ts'
import { resumeSpending } from './resume.ts'
import type { Terminal } from './terminal.ts'

/** No server was started where a person looks. */
class StateFolderUnusedError extends LilypadError {
  override readonly name = 'StateFolderUnusedError'
  constructor(path: string) {
    super('CONFIG_INVALID', 'No server has used this state folder.', {
      details: [`Folder: ${path}`],
      hint: 'name the folder of the server with --state-dir, or run this in the folder where the server was started; that of a principal is <principals-dir>/<name>/state',
    })
  }
}

/** An empty answer about a folder that nobody uses would be taken for one about the server. @throws StateFolderUnusedError */
function assertUsed(path: string): void {
  if (!existsSync(path)) throw new StateFolderUnusedError(path)
}

/** A command that a person gives, and that ends. @returns the exit code */
export async function runCommand(
  command: Extract<McpCommand, { readonly settings: unknown }>,
  terminal: Terminal,
): Promise<number> {
  const { name, settings, operand, isJson } = command
  if (name === 'doctor') return (await runDoctor(settings, { terminal, isJson })) ? 0 : 1
  assertUsed(settings['state-dir'])
  const store = sqliteStore(settings['state-dir'])
  try {
    if (name === 'ledger') await showLedger(store, { terminal, isJson })
    else if (name === 'resume') return (await resumeSpending(store, terminal)) === 'stopped' ? 1 : 0
    else if (operand === undefined) await showWaiting(store, terminal, settings['state-dir'])
    else {
      const network = readNetwork({ ...settings, mode: 'read-only' })
      const { 'state-dir': stateDirectory } = settings
      const findPayment = (id: Bytes32) => findPaymentFacts({ stateDirectory, id, chainId: network.chainId })
      return (await approveQuote({ store, network, quoteId: operand, terminal, findPayment })) === 'approved' ? 0 : 1
    }
    return 0
  } finally {
    await store.close()
  }
}
