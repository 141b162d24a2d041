import { type JobRequest, type PricedJob, quoteJob, type RequestPolicy } from '../completion/place-job.ts'
import type { GatewayContext } from '../context.ts'
import { isSteered, type Route, toRoute, toRouteError } from './route.ts'

/** The providers that a job may go to, where its request says anything of them. */
export async function findRoute(
  { client, routes }: Pick<GatewayContext, 'client' | 'routes'>,
  module: string,
  policy: RequestPolicy,
): Promise<Route> {
  if (!isSteered(policy) && policy.sort === undefined) return {}
  const { moduleVersion, offers } = await client.getModule(module)
  return toRoute({ moduleVersion, offers, policy, memory: routes })
}

/**
 * Gets a price from one of the providers that the request allows. Nothing is reserved.
 * @throws {@link toRouteError} where none of them offers the module
 */
export async function quoteRouted(
  context: Pick<GatewayContext, 'client' | 'routes'>,
  request: JobRequest,
  policy: RequestPolicy,
): Promise<PricedJob> {
  const route = await findRoute(context, request.module, policy)
  return quoteJob(context, request, policy, { route }).catch((error: unknown) => {
    throw toRouteError(error, policy)
  })
}
