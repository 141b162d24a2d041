import { Router } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import { digestParameter } from '../http/authorize.ts'
import { sendBlob } from '../http/send-blob.ts'

/** `PUT` and `GET /artifacts/{sha256}`: programs that published modules run. Anybody may read them, and send those that are named. */
export function artifactRoutes(context: SolverContext): Router {
  const router = Router()
  const { artifacts, catalog } = context

  router.put('/artifacts/:sha256', async (request, response) => {
    const sha256 = digestParameter(request, 'sha256')
    const bytes = catalog.findProgramBytes(sha256)
    if (bytes === undefined) {
      throw new LilypadError('NOT_FOUND', 'No published module runs a program with this digest.', {
        hint: 'publish the module first',
      })
    }
    if (!(await artifacts.has(sha256))) await artifacts.put(sha256, request, { maxBytes: bytes, bytes })
    else request.resume()
    response.status(204).end()
  })

  router.get('/artifacts/:sha256', async (request, response) => {
    const sha256 = digestParameter(request, 'sha256')
    if (!(await artifacts.has(sha256))) throw new LilypadError('NOT_FOUND', 'There is no program with this digest.')
    response.setHeader('cache-control', 'public, max-age=31536000, immutable')
    await sendBlob(response, artifacts, sha256)
  })
  return router
}
