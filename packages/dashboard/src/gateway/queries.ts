import { queryOptions } from '@tanstack/react-query'
import { ask, parseJson, send } from './ask-gateway.ts'
import { GatewayError } from './gateway-error.ts'
import { AccountFacts, JobFacts, ModelList, ModuleList, NetworkFacts, Readiness, UsageList } from './gateway-schema.ts'

export const networkQuery = queryOptions({
  queryKey: ['network'],
  queryFn: ({ signal }) => ask('/v1/network', NetworkFacts, { signal }),
  staleTime: Number.POSITIVE_INFINITY,
})

/** `GET /ready` says what is missing with status 503 and the same body. */
export const readinessQuery = queryOptions({
  queryKey: ['ready'],
  queryFn: async ({ signal }) => {
    const response = await fetch('/ready', { signal, credentials: 'omit' }).catch(() => undefined)
    const parsed = Readiness.safeParse(response && parseJson(await response.text()))
    if (parsed.success) return parsed.data
    throw new GatewayError('The gateway cannot be reached.', { status: 0 })
  },
  refetchInterval: 15_000,
  retry: false,
})

export const modelsQuery = queryOptions({
  queryKey: ['models'],
  queryFn: async ({ signal }) => (await ask('/v1/models', ModelList, { signal })).data.flatMap((model) => model ?? []),
  refetchInterval: 30_000,
})

export const modulesQuery = (search: string) =>
  queryOptions({
    queryKey: ['modules', search],
    queryFn: async ({ signal }) =>
      (
        await ask(`/v1/modules?limit=100${search ? `&query=${encodeURIComponent(search)}` : ''}`, ModuleList, {
          signal,
        })
      ).data,
    placeholderData: (earlier) => earlier,
  })

// Never under the key itself: a cache is no place for it. The number changes with the key.
export const accountQuery = (session: { readonly key: string | undefined; readonly number: number }) =>
  queryOptions({
    queryKey: ['account', session.number],
    queryFn: ({ signal }) => ask('/v1/account', AccountFacts, { key: session.key, signal }),
    enabled: session.key !== undefined,
    retry: false,
  })

export const usageQuery = (session: { readonly key: string | undefined; readonly number: number }) =>
  queryOptions({
    queryKey: ['usage', session.number],
    queryFn: async ({ signal }) =>
      (await ask('/v1/usage?limit=1000', UsageList, { key: session.key, signal })).data.toReversed(),
    enabled: session.key !== undefined,
    retry: false,
  })

export const jobQuery = (key: string | undefined, id: string) =>
  queryOptions({
    queryKey: ['job', id],
    queryFn: ({ signal }) => ask(`/v1/jobs/${id}`, JobFacts, { key, signal }),
    // The provider settles a few seconds after it was acknowledged; then there is nothing more to ask.
    refetchInterval: ({ state }) => (state.data?.tx || state.dataUpdateCount > 30 ? false : 2000),
    retry: false,
  })

/** Bytes of a file of the gateway. */
export async function fetchBytes(path: string, key: string | undefined): Promise<Uint8Array> {
  return new Uint8Array(await (await send(path, { key })).arrayBuffer())
}
