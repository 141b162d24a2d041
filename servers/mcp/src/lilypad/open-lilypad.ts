import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { createLilypad, type Lilypad } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import type { McpConfig } from '../config/config.ts'

/** Opens the state folder, and the client over it. */
export function openLilypad({ network, signer, grant, policy, stateDirectory }: McpConfig): Lilypad {
  installNativeCrypto()
  const store = sqliteStore(stateDirectory)
  return createLilypad({ network, store, ...(signer ? { signer, policy } : {}), ...(grant ? { grant } : {}) })
}
