import { Router } from 'express'
import { getAttestation } from '../attestation/attestation-shelf.ts'
import type { SolverContext } from '../context.ts'
import { digestParameter } from '../http/authorize.ts'

/** `GET /attestations/{digest}`: what a provider said of its sandbox. Anybody may read it: receipts name it. */
export function attestationRoutes(context: SolverContext): Router {
  const router = Router()
  router.get('/attestations/:digest', async (request, response) => {
    const attestation = await getAttestation(context, digestParameter(request, 'digest'))
    response.setHeader('cache-control', 'public, max-age=86400, immutable')
    response.json(attestation)
  })
  return router
}
