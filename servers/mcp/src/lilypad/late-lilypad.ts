import type { Lilypad } from '@lilypad-agents/sdk'
import type { McpConfig } from '../config/config.ts'
import { enforcedPolicy } from '../config/policy.ts'

/** What of a client is known before it is opened. */
type KnownFacts = Pick<Lilypad, 'network' | 'key' | 'payer' | 'policy'>

/** A client that `open` reads now, members that are objects included. */
export type LateLilypad = Lilypad & { open(): Promise<Lilypad> }

/**
 * The client of a process that is opened by its first use: chain and signing code, and the state folder, are then read. Most processes
 * that MCP clients start are asked for the list of tools and nothing else.
 * Everything of it is a promise already, but for what `known` holds, and for members that are objects: those are there after any call.
 */
export function lateLilypad(config: McpConfig): LateLilypad {
  const { network, signer, grant } = config
  const known: KnownFacts = {
    network,
    key: signer?.address,
    payer: signer && (grant?.grant.payer ?? signer.address),
    policy: signer && enforcedPolicy(config),
  }
  let opened: Lilypad | undefined
  let opening: Promise<Lilypad> | undefined
  const open = () => {
    opening ??= import('./open-lilypad.ts')
      .then(({ openLilypad }) => {
        opened = openLilypad(config)
        return opened
      })
      .catch((error: unknown) => {
        opening = undefined
        throw error
      })
    return opening
  }
  const late = {
    open,
    async *watchJob(...given: Parameters<Lilypad['watchJob']>) {
      yield* (await open()).watchJob(...given)
    },
    close: async () => (opening ? (await opening).close() : undefined),
  }
  return new Proxy({} as LateLilypad, {
    get(_target, name) {
      if (opened && name !== 'open') return Reflect.get(opened, name)
      if (Object.hasOwn(known, name)) return Reflect.get(known, name)
      if (Object.hasOwn(late, name)) return Reflect.get(late, name)
      // A promise is asked whether it is one.
      if (name === 'then' || typeof name === 'symbol') return undefined
      return async (...given: unknown[]) => {
        const lilypad = await open()
        return Reflect.apply(Reflect.get(lilypad, name), lilypad, given)
      }
    },
  })
}
