import { json, Router } from 'express'
import { AcknowledgementRequest, OrderRequest, parseWire, StepAcknowledgement } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { SolverContext } from '../context.ts'
import { authorizeRequester, digestParameter } from '../http/authorize.ts'
import { acknowledgeStep } from '../job/acknowledge-step.ts'
import type { JobRow } from '../job/job-row.ts'
import { isWorthReturning, toJobView } from '../job/job-view.ts'
import type { createOrderDesk } from '../job/place-order.ts'
import { acknowledgeJob } from '../job/requester-moves.ts'
import { waitForJob } from '../job/wait-for-job.ts'

/** `POST /jobs`, `GET /jobs/{orderHash}`, `POST /jobs/{orderHash}/acknowledgement`, `POST /jobs/{orderHash}/step`. */
export function jobRoutes(context: SolverContext, placeOrder: ReturnType<typeof createOrderDesk>): Router {
  const router = Router()
  const WaitQuery = z.object({
    waitSeconds: z.coerce.number().min(0).max(context.rules.maxWaitSeconds).default(0),
    /** `change`: another state; `end`: nothing to wait for any more. */
    until: z.enum(['change', 'end']).default('change'),
  })

  router.post('/jobs', json({ limit: '4mb' }), async (request, response) => {
    const { view, isNew } = await placeOrder(parseWire(OrderRequest, request.body, 'order'))
    response.status(isNew ? 201 : 200).json(view)
  })

  router.get('/jobs/:orderHash', async (request, response) => {
    const { waitSeconds, until } = parseWire(WaitQuery, request.query, 'query')
    const job = await authorizeRequester(context, request)
    const isOver = ({ state, missingInputs }: JobRow) => isWorthReturning(state) || missingInputs > 0
    const mayWait = waitSeconds > 0 && !(until === 'end' ? isOver(job) : isWorthReturning(job.state))
    const isEnough = until === 'end' ? isOver : ({ state }: JobRow) => state !== job.state
    const milliseconds = waitSeconds * 1000
    const current = mayWait ? await waitForJob(context, job, { milliseconds, gone: response, isEnough }) : job
    response.json(await toJobView(context.database, current))
  })

  // The voucher's own signature says who acknowledges, so it needs no access signature beside it.
  router.post('/jobs/:orderHash/acknowledgement', json({ limit: '16kb' }), async (request, response) => {
    const { voucher, signature } = parseWire(AcknowledgementRequest, request.body, 'acknowledgement')
    const orderHash = digestParameter(request, 'orderHash')
    const job = await acknowledgeJob(context, orderHash, { voucher, signature })
    response.json(await toJobView(context.database, job))
  })

  router.post('/jobs/:orderHash/step', json({ limit: '16kb' }), async (request, response) => {
    const acknowledged = parseWire(StepAcknowledgement, request.body, 'step')
    await acknowledgeStep(context, digestParameter(request, 'orderHash'), acknowledged)
    response.status(204).end()
  })
  return router
}
