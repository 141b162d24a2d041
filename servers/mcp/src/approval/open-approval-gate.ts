import { sqliteStore } from '@lilypad-agents/sdk/node'
import type { McpConfig } from '../config/config.ts'
import { type ApprovalGate, createApprovalGate } from './approval-gate.ts'

/** Opens the state folder, and the gate over it. */
export function openApprovalGate(config: McpConfig): ApprovalGate {
  const store = sqliteStore(config.stateDirectory)
  const gate = createApprovalGate({ config, network: config.network, store })
  return {
    ask: gate.ask,
    async close() {
      await gate.close()
      await store.close()
    },
  }
}
