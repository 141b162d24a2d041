import { queryOptions } from '@tanstack/react-query'
import { z } from 'zod'
import { ask } from '../gateway/ask-gateway.ts'
import { GatewayError } from '../gateway/gateway-error.ts'
import { JobFacts, NetworkFacts } from '../gateway/gateway-schema.ts'
import { fetchBytes } from '../gateway/queries.ts'
import type { ReceiptVerdict, Seen } from './verify-receipt.ts'

/** A receipt with what came of its checks and what they were made with. */
export type CheckedReceipt = {
  readonly verdict: ReceiptVerdict
  readonly bundle: unknown
  readonly outputs: ReadonlyMap<string, Uint8Array>
}

/** Fetches everything that proves a job and checks it here. The checking code comes with the first receipt. */
export const receiptQuery = (key: string | undefined, jobId: string, seen: Seen | undefined) =>
  queryOptions({
    queryKey: ['receipt', jobId, seen ?? null],
    queryFn: async ({ signal }): Promise<CheckedReceipt> => {
      const [{ verifyReceipt }, network, job, bundle] = await Promise.all([
        import('./verify-receipt.ts'),
        ask('/v1/network', NetworkFacts, { signal }),
        ask(`/v1/jobs/${jobId}`, JobFacts, { key, signal }),
        ask(`/v1/jobs/${jobId}/receipt`, z.unknown(), { key, signal }),
      ])
      const outputs = new Map(
        await Promise.all(job.outputs.map(async ({ path, url }) => [path, await fetchBytes(url, key)] as const)),
      )
      const { chain_id: chainId, vault } = network
      const verdict = await verifyReceipt({ bundle, outputs, jobId, network: { chainId, vault }, seen })
      return { verdict, bundle, outputs }
    },
    staleTime: Number.POSITIVE_INFINITY,
    // A job that was stopped has its receipt a moment later.
    retry: (count, error) => count < 8 && error instanceof GatewayError && [0, 404, 409, 503].includes(error.status),
    retryDelay: 1500,
  })
