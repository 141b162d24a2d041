#!/usr/bin/env node
import process from 'node:process'
import { toLilypadError } from '@lilypad-agents/protocol'
import { readNetworkFile } from '@lilypad-agents/sdk/node'
import { z } from 'zod'
import { askRunning } from './admin/admin-server.ts'
import { administer } from './admin/administer.ts'
import { type GatewayCommand, helpText, readCommand } from './config.ts'
import { createDepositChain } from './deposits/deposit-chain.ts'
import { openState, startGateway } from './start-gateway.ts'

// Before the start, so that a signal that comes during it closes what was opened.
const stopping = new Promise<void>((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // Everything is on disk already, so a close that hangs is cut off.
      setTimeout(() => process.exit(0), 40_000).unref()
      resolve()
    })
  }
})

const isBalanced = (result: unknown) => z.object({ isBalanced: z.literal(true) }).safeParse(result).success

type StateCall = Extract<GatewayCommand, { readonly name: 'state' }>

/** Runs a command on the accounts, in the gateway that has the embedded database open where one does. */
async function runOnState({ command, state, ledger }: StateCall, args: readonly string[]): Promise<unknown> {
  const asked = state.databaseUrl === undefined ? await askRunning(state.stateDirectory, args) : undefined
  if (asked) return asked.result
  const payer = command.name === 'ledger check' ? ledger.findPayer() : undefined
  const chain = payer && createDepositChain({ network: readNetworkFile(ledger.network), payer })
  const { database, close } = await openState(state)
  try {
    return await administer({ database, chain }, command)
  } finally {
    await close()
  }
}

try {
  const args = process.argv.slice(2)
  const command = readCommand({ args, env: process.env })
  if (command.name === 'help') process.stdout.write(helpText())
  else if (command.name === 'serve') {
    const gateway = await startGateway(command.config)
    await stopping
    await gateway.close()
  } else {
    const result = await runOnState(command, args)
    process.stdout.write(`${JSON.stringify(result)}\n`)
    if (command.command.name === 'ledger check' && !isBalanced(result)) process.exit(1)
  }
  process.exit(0)
} catch (error) {
  const { code, message } = toLilypadError(error)
  process.stderr.write(`${JSON.stringify({ level: 'fatal', code, msg: message })}\n`)
  process.exit(1)
}
