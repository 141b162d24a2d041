import type { McpConfig } from '../../config/config.ts'
import type { LateLilypad } from '../../lilypad/late-lilypad.ts'
import type { Logger } from '../../log/logger.ts'
import type { Paid } from './open-paid.ts'

/** The paid servers of a process, read from disk when they are first wanted. */
export type LatePaid = { open(): Promise<Paid>; close(): Promise<void> }

/** Makes them for a server that has a key and was given some; undefined for any other. */
export function latePaid(options: {
  readonly config: McpConfig
  readonly lilypad: LateLilypad
  readonly logger: Logger
}): LatePaid | undefined {
  const { config, lilypad, logger } = options
  const { paidServers: servers = [], signer, stateDirectory } = config
  if (!signer || servers.length === 0) return undefined
  let opened: Promise<Paid> | undefined
  const load = async () =>
    (await import('./open-paid.ts')).openPaid({
      servers,
      stateDirectory,
      lilypad: await lilypad.open(),
      signer,
      logger,
    })
  return {
    open() {
      // What failed is tried again by the next call.
      opened ??= load().catch((error: unknown) => {
        opened = undefined
        throw error
      })
      return opened
    },
    async close() {
      await (await opened?.catch(() => undefined))?.close()
    },
  }
}
