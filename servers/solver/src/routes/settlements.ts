import { json, Router } from 'express'
import {
  findAuthorized,
  LilypadError,
  parseWire,
  SettlementApprovalAnswer,
  settlementHash,
  SettlementLanes,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import { approveSettlement } from '../approval/approve-settlement.ts'
import type { SolverContext } from '../context.ts'

/** `POST /settlements/approvals`, signed by the provider of the settlement. */
export function settlementRoutes(context: SolverContext): Router {
  const router = Router()
  router.post('/settlements/approvals', json({ limit: '4mb' }), async (request, response) => {
    const settlement = parseWire(SettlementLanes, request.body, 'settlement')
    const subject = settlementHash(settlement)
    const caller = findAuthorized(context.domain, subject, request.headers.authorization, context.clock())
    if (caller !== settlement.provider) {
      throw new LilypadError('UNAUTHORIZED', 'This needs a valid access signature of the settlement’s provider.', {
        hint: 'send `Authorization: Lilypad <validUntil>:<signature>`, signed over an Access whose subject is the hash of the settlement',
      })
    }
    response.json(z.encode(SettlementApprovalAnswer, await approveSettlement(context, settlement)))
  })
  return router
}
