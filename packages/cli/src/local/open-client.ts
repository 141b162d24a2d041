import { existsSync, readFileSync } from 'node:fs'
import { createSigner, LilypadError, parseWire, SignedGrant } from '@lilypad-agents/protocol'
import { createLilypad, type Lilypad } from '@lilypad-agents/sdk'
import { readKeyFile, readNetworkFile, sqliteStore } from '@lilypad-agents/sdk/node'
import type { StateDirectory } from './state-directory.ts'

/** The client of the person at this terminal: their session key and grant, the limits of that grant, and a store on disk. */
export function openClient(state: StateDirectory, networkFile: string = state.networkFile): Lilypad {
  const network = readNetworkFile(networkFile)
  const store = sqliteStore(state.directory('client'))
  const keyFile = state.keyFile('session')
  if (!existsSync(keyFile)) return createLilypad({ network, store })
  const signer = createSigner(readKeyFile(keyFile))
  if (!existsSync(state.grantFile)) {
    throw new LilypadError('GRANT_INVALID', 'The session key has no grant.', {
      details: [`Expected: ${state.grantFile}`],
      hint: '`lilypad up` makes one for a local network',
    })
  }
  const grant = parseWire(SignedGrant, JSON.parse(readFileSync(state.grantFile, 'utf8')), 'grant')
  const { perJob, perDay, total } = grant.grant
  return createLilypad({ network, store, signer, grant, policy: { perJob, perDay, total } })
}
