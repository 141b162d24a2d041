import { randomUUID } from 'node:crypto'
import type { Request, Response } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'
import { ModelNotAllowedError } from '../account/account-errors.ts'
import { openRequest, type PaidRequest } from '../account/paid-request.ts'
import { type GatewayContext, nowSeconds } from '../context.ts'
import type { Settlement } from '../dialects/dialect.ts'
import { callerOf } from './authenticate.ts'
import { assertIdempotencyKey, digestOf } from './read-body.ts'
import { assertStillPaid, paymentOf } from '../x402/pay.ts'

/** A request that is now noted, or the answer to the one that it repeats. */
export type OpenedPaid =
  | { readonly isNew: true; readonly requestId: string; readonly createdAt: number }
  | { readonly isNew: false; readonly earlier: PaidRequest; readonly answer: unknown }

/**
 * Notes a paid request before anything is done for it.
 * @throws ModelNotAllowedError; LilypadError STATE_CONFLICT when it repeats one that is not answered yet, or whose answer is gone
 */
export async function openPaid(
  context: GatewayContext,
  request: Request,
  response: Response,
  what: { readonly kind: string; readonly model: string },
  /** What a repeat is answered with: what was answered, or the order that was placed. */
  { repeats = 'answers' }: { readonly repeats?: 'answers' | 'orders' } = {},
): Promise<OpenedPaid> {
  const key = callerOf(response)
  if (key.models && !key.models.includes(what.model)) throw new ModelNotAllowedError({ ...what, models: key.models })
  const requestId = randomUUID().replaceAll('-', '')
  const createdAt = nowSeconds(context)
  // One payment is one request, however often it comes.
  const payment = paymentOf(response)
  const opened = await openRequest(context.database, {
    ...what,
    id: requestId,
    key,
    replica: context.replica,
    digest: digestOf(response),
    idempotencyKey: payment ?? assertIdempotencyKey(request.get('idempotency-key')),
    now: createdAt,
  })
  if (opened.isNew) {
    if (payment !== undefined) await assertStillPaid(context, { id: requestId, payment, now: createdAt })
    response.setHeader('x-generation-id', requestId)
    return { isNew: true, requestId, createdAt }
  }
  const { earlier } = opened
  if (earlier.orderHash !== null) response.setHeader('x-lilypad-job', earlier.orderHash)
  if (repeats === 'orders' && earlier.orderHash !== null) return { isNew: false, earlier, answer: undefined }
  if (earlier.state !== 'charged')
    throw new LilypadError(
      'STATE_CONFLICT',
      'The request that came with this idempotency key is still being answered.',
      {
        hint: 'ask again in a second with the same key',
        retryable: true,
      },
    )
  if (earlier.answer === null)
    throw new LilypadError('STATE_CONFLICT', 'This request was answered and paid; the answer is not kept any more.', {
      hint: 'GET /v1/jobs/{id}/outputs/response.json has what the model said; use a new key for a new answer',
    })
  response.setHeader('x-generation-id', earlier.id)
  response.setHeader('x-lilypad-replayed', 'true')
  return { isNew: false, earlier, answer: JSON.parse(earlier.answer) }
}

/** Job, receipt and cost as headers. */
export function tellSettlement(response: Response, { jobId, receipt, cost }: Settlement): void {
  response.setHeader('x-lilypad-job', jobId)
  response.setHeader('x-lilypad-receipt', receipt)
  response.setHeader('x-lilypad-cost', `${cost} LILY`)
}
