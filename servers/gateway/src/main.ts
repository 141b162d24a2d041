#!/usr/bin/env node
import process from 'node:process'
import { toLilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { createAccount, creditAccount, listAccounts } from './account/account.ts'
import { createApiKey, revokeApiKey } from './account/api-key.ts'
import { type GatewayCommand, helpText, readCommand } from './config.ts'
import type { Database } from './db/open-database.ts'
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

type StateCommand = Exclude<GatewayCommand, { readonly name: 'serve' | 'help' }>

/** Changes or reads the accounts. What it gives is written as one JSON object. */
async function administer(database: Database, command: StateCommand): Promise<unknown> {
  const now = Math.floor(Date.now() / 1000)
  switch (command.name) {
    case 'account create':
      return { id: await createAccount(database, { name: command.account, now }), name: command.account }
    case 'account credit': {
      const { account, amount, reference } = command
      const { isNew, balance } = await creditAccount(database, { account, amount, reference, now })
      return { account, isNew, balance: formatTokenAmount(balance) }
    }
    case 'account list':
      return (await listAccounts(database)).map(({ balance, reserved, ...account }) => ({
        ...account,
        balance: formatTokenAmount(balance),
        reserved: formatTokenAmount(reserved),
      }))
    case 'key create': {
      const { account, label, budget, requestsPerMinute } = command
      return createApiKey(database, { account, name: label, budget, requestsPerMinute, now })
    }
    case 'key revoke':
      return { id: command.id, revoked: await revokeApiKey(database, { id: command.id, now }) }
  }
}

try {
  const command = readCommand({ args: process.argv.slice(2), env: process.env })
  if (command.name === 'help') process.stdout.write(helpText())
  else if (command.name === 'serve') {
    const gateway = await startGateway(command.config)
    await stopping
    await gateway.close()
  } else {
    const { database, close } = await openState(command.state)
    try {
      process.stdout.write(`${JSON.stringify(await administer(database, command))}\n`)
    } finally {
      await close()
    }
  }
  process.exit(0)
} catch (error) {
  const { code, message } = toLilypadError(error)
  process.stderr.write(`${JSON.stringify({ level: 'fatal', code, msg: message })}\n`)
  process.exit(1)
}
