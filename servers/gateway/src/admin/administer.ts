import { formatTokenAmount } from '@lilypad-agents/sdk'
import { createAccount, creditAccount, listAccounts } from '../account/account.ts'
import { createApiKey, limitApiKey, listApiKeys, revokeApiKey, rotateApiKey, switchApiKey } from '../account/api-key.ts'
import type { Database } from '../db/open-database.ts'
import { checkLedger, type LedgerChain } from '../ledger/check-ledger.ts'
import type { StateCommand } from './state-command.ts'

/** Changes or reads the accounts. What it gives is written as one JSON object; base units become LILY. */
export async function administer(
  { database, chain }: { readonly database: Database; readonly chain: LedgerChain | undefined },
  command: StateCommand,
): Promise<unknown> {
  const now = Math.floor(Date.now() / 1000)
  switch (command.name) {
    case 'account create':
      return { id: await createAccount(database, { name: command.account, now }), name: command.account }
    case 'account credit': {
      const { account, amount, reference } = command
      return inLily({ account, ...(await creditAccount(database, { account, amount, reference, now })) })
    }
    case 'account list':
      return (await listAccounts(database)).map(inLily)
    case 'key create': {
      const { account, label, limits } = command
      return createApiKey(database, { account, name: label, ...limits, now })
    }
    case 'key limit': {
      const { id, limits } = command
      return { id, limited: await limitApiKey(database, { id, ...limits, now }) }
    }
    case 'key rotate':
      return rotateApiKey(database, { ...command, now })
    case 'key disable':
    case 'key enable': {
      const { id, name } = command
      const isEnabled = name === 'key enable'
      return { id, [isEnabled ? 'enabled' : 'disabled']: await switchApiKey(database, { id, isEnabled, now }) }
    }
    case 'key revoke':
      return { id: command.id, revoked: await revokeApiKey(database, { id: command.id, now }) }
    case 'key list':
      return (await listApiKeys(database, command.account)).map(inLily)
    case 'ledger check':
      return inLily(await checkLedger(database, chain))
  }
}

/** Amounts as people write them. */
function inLily(value: object): object {
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, typeof part === 'bigint' ? formatTokenAmount(part) : part]),
  )
}
