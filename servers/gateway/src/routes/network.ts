import { Router } from 'express'
import { Address } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'
import type { GatewayContext } from '../context.ts'

/** Which network a gateway is for: what its receipts are checked against. */
export const NetworkView = z.object({
  object: z.literal('network'),
  name: z.string(),
  chain_id: z.int(),
  vault: Address.meta({ description: 'Contract that pays jobs; every signature of a job counts for this one alone' }),
  currency: z.literal('LILY'),
  usd_per_lily: z.string().meta({ description: 'Rate at which prices are shown in dollars' }),
  explorer_url: z.url().nullable().meta({ description: 'Block explorer of the chain; transactions are under /tx/' }),
})

/** `GET /v1/network`. Needs no key. */
export function networkRoutes({ client, network, rules }: GatewayContext): Router {
  const router = Router()
  const view: z.output<typeof NetworkView> = {
    object: 'network',
    name: network.name,
    chain_id: client.domain.chainId,
    vault: client.domain.vault,
    currency: 'LILY',
    usd_per_lily: formatTokenAmount(rules.usdPerLilyWad),
    explorer_url: network.explorerUrl ?? null,
  }
  router.get('/v1/network', (_request, response) => {
    response.json(view)
  })
  return router
}
