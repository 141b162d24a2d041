import { Router } from 'express'
import { apiVersion, type NetworkInfo } from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'

/** `GET /health` and `GET /network`. */
export function networkRoutes(context: SolverContext): Router {
  const router = Router()
  router.get('/health', async (_request, response) => {
    const blockNumber = await context.chain.getBlockNumber().catch(() => null)
    response.json({
      status: 'ok',
      chain: blockNumber === null ? 'unreachable' : 'reachable',
      blockNumber,
      providersConnected: context.providers.count,
    })
  })
  router.get('/network', (_request, response) => {
    const info: NetworkInfo = {
      apiVersion,
      chainId: context.domain.chainId,
      solver: context.signer.address,
      ...context.contracts,
      providersConnected: context.providers.count,
    }
    response.json(info)
  })
  return router
}
