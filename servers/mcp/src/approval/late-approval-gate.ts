import type { McpConfig } from '../config/config.ts'
import type { ApprovalGate } from './approval-gate.ts'

/** The gate of a process, opened when a person is first to be asked. */
export function lateApprovalGate(config: McpConfig): ApprovalGate {
  let opening: Promise<ApprovalGate> | undefined
  const open = () => {
    opening ??= import('./open-approval-gate.ts').then(({ openApprovalGate }) => openApprovalGate(config))
    return opening
  }
  return {
    ask: async (facts, about) => (await open()).ask(facts, about),
    async close() {
      await (await opening)?.close()
    },
  }
}
