import { Router } from 'express'
import type { GatewayContext } from '../context.ts'
import { openApiDocument } from '../openapi/document.ts'

/** `GET /openapi.json`. */
export function openApiRoutes({ x402 }: Pick<GatewayContext, 'x402'>): Router {
  const router = Router()
  const text = JSON.stringify(
    openApiDocument({
      takesPayments: x402 !== undefined,
      isFacilitator: x402?.config.isFacilitator ?? false,
    }),
  )
  router.get('/openapi.json', (_request, response) => {
    response.type('application/json').send(text)
  })
  return router
}
