import type { Signer } from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'
import type { Logger } from '../../log/logger.ts'
import { openCallStore } from './call-store.ts'
import { createPaidCalls, type PaidCalls } from './paid-calls.ts'
import type { PaidServerConfig } from '../x402-settings.ts'
import { createPaidServer, type PaidServer } from './paid-server.ts'

/** Servers of others, and the calls that are bought from them. */
export type Paid = {
  readonly servers: readonly PaidServer[]
  readonly calls: PaidCalls
  close(): Promise<void>
}

/** Opens the books of paid calls. No server is spoken to before one of its tools is wanted. */
export function openPaid(options: {
  readonly servers: readonly PaidServerConfig[]
  readonly stateDirectory: string
  readonly lilypad: Lilypad
  readonly signer: Signer
  readonly logger: Logger
}): Paid {
  const { lilypad, signer, logger } = options
  const store = openCallStore(options.stateDirectory)
  const calls = createPaidCalls({ lilypad, signer, store, logger })
  const servers = options.servers.map(createPaidServer)
  return {
    servers,
    calls,
    async close() {
      calls.close()
      await Promise.all(servers.map((server) => server.close()))
      store.close()
    },
  }
}
