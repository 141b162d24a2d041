import { Address } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** Where a network is: its chain, its contracts and a solver. Written by `lilypad up`, read by every client. */
export const Network = z.strictObject({
  name: z.string().min(1).max(64),
  chainId: z.int().positive(),
  rpcUrl: z.url(),
  solverUrl: z.url(),
  contracts: z.strictObject({ jobVault: Address, moduleRegistry: Address, lilyToken: Address }),
})
export type Network = z.output<typeof Network>
