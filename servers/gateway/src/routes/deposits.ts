import { type RequestHandler, Router } from 'express'
import { Address, LilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'
import type { GatewayContext } from '../context.ts'
import { openDepositAddress } from '../deposits/watch-deposits.ts'
import { callerOf } from '../http/authenticate.ts'

export const DepositView = z.object({
  object: z.literal('deposit_address'),
  address: Address.meta({ description: 'Send LILY here by a plain transfer, as often as you like' }),
  token: Address,
  chain_id: z.int(),
  currency: z.literal('LILY'),
  least: z.string().meta({ description: 'Less than this waits until more comes' }),
  confirmations: z.int().meta({ description: 'Blocks after which it is in the account' }),
})

/** `GET /v1/account/deposit`: where the customer of an account sends tokens. */
export function depositRoutes(context: GatewayContext, authentication: RequestHandler): Router {
  const router = Router()
  router.get('/v1/account/deposit', authentication, async (_request, response) => {
    const { database, deposits } = context
    if (!deposits)
      throw new LilypadError('NOT_FOUND', 'This gateway takes no deposits: it has no key to order with.', {
        hint: 'the operator starts it with `--key-file`',
      })
    const { chain, rules } = deposits
    const view: z.output<typeof DepositView> = {
      object: 'deposit_address',
      address: await openDepositAddress({ database, chain }, callerOf(response).accountId),
      token: chain.token,
      chain_id: chain.chainId,
      currency: 'LILY',
      least: formatTokenAmount(rules.least),
      confirmations: rules.confirmations,
    }
    response.json(view)
  })
  return router
}
