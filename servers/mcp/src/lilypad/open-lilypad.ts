import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { createLilypad, type Lilypad } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import type { McpConfig } from '../config/config.ts'
import { enforcedPolicy } from '../config/policy.ts'

/** Opens the state folder, and the client over it. */
export function openLilypad(config: McpConfig): Lilypad {
  const { network, signer, grant, stateDirectory } = config
  installNativeCrypto()
  const store = sqliteStore(stateDirectory)
  return createLilypad({
    network,
    store,
    ...(signer ? { signer, policy: enforcedPolicy(config) } : {}),
    ...(grant ? { grant } : {}),
  })
}
