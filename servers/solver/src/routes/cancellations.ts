import { Router } from 'express'
import { cancellationSubject, findAuthorized, LilypadError } from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import { digestParameter } from '../http/authorize.ts'
import { cancelJob } from '../job/cancel-job.ts'
import { findJob, JobUnknownError } from '../job/job-row.ts'
import { toJobView } from '../job/job-view.ts'

/** `POST /jobs/{orderHash}/cancellation`, with an access signature over the cancellation of this very job. */
export function cancellationRoutes(context: SolverContext): Router {
  const router = Router()
  router.post('/jobs/:orderHash/cancellation', async (request, response) => {
    const orderHash = digestParameter(request, 'orderHash')
    const subject = cancellationSubject(orderHash)
    const caller = findAuthorized(context.domain, subject, request.headers.authorization, context.clock())
    if (!caller)
      throw new LilypadError('UNAUTHORIZED', 'This needs a valid access signature for cancelling the job.', {
        hint: 'sign the access over `cancellationSubject(orderHash)`',
      })
    const job = await findJob(context, orderHash)
    if (!job || (caller !== job.key && caller !== job.payer)) throw new JobUnknownError()
    response.json(await toJobView(context.database, await cancelJob(context, orderHash)))
  })
  return router
}
