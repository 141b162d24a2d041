import type { ModuleListing, SigningDomain } from '@lilypad-agents/protocol'
import { formatTokenAmount, type StoredJob, type StoredQuote } from '@lilypad-agents/sdk'
import type { z } from 'zod'
import type { PaidRequest } from '../account/paid-request.ts'
import { modelPrice } from '../models/model-price.ts'
import { orderTemplate } from '../orders/offered-order.ts'
import type { JobView, ModuleView, QuoteView } from './job-schema.ts'

const currency = 'LILY'

export function moduleView(listing: ModuleListing): z.output<typeof ModuleView> {
  const { name, moduleVersion, author, manifest, offers } = listing
  const { pricePerJob, pricePerInputUnit, pricePerOutputUnit } = modelPrice(listing)
  const perSecond = offers[0]?.pricePerSecond ?? manifest.price.pricePerSecond
  return {
    object: 'module',
    name,
    module_version: moduleVersion,
    version: manifest.version,
    title: manifest.title,
    summary: manifest.summary,
    description: manifest.description,
    author,
    inputs: { ...manifest.inputs },
    outputs: manifest.outputs.files.map(({ path, mediaType, title }) => ({ path, media_type: mediaType, title })),
    examples: [...manifest.examples],
    price: {
      per_job: formatTokenAmount(pricePerJob),
      per_second: formatTokenAmount(perSecond),
      per_input_unit: formatTokenAmount(pricePerInputUnit),
      per_output_unit: formatTokenAmount(pricePerOutputUnit),
    },
    units: { input: manifest.units.input, output: manifest.units.output },
    currency,
    providers: offers.length,
  }
}

export function quoteView(stored: StoredQuote, domain: SigningDomain): z.input<typeof QuoteView> {
  const { quote } = stored
  return {
    object: 'quote',
    id: quote.quoteId,
    module: quote.module,
    module_version: quote.moduleVersion,
    provider: quote.ask.ask.provider,
    max_price: formatTokenAmount(quote.maxPrice),
    expected_price: formatTokenAmount(quote.expectedPrice),
    expected_seconds: quote.expectedSeconds,
    currency,
    expires_at: quote.expiresAt,
    order: orderTemplate(stored, domain),
  }
}

/** A job as its customer sees it: the state is the network's, what it cost is the account's. */
export function jobView(job: StoredJob, request: PaidRequest): z.output<typeof JobView> {
  const { orderHash, order, module } = job
  const files = job.verified === true ? (job.delivery?.manifest.predicate.outputs ?? []) : []
  return {
    object: 'job',
    id: orderHash,
    state: job.state,
    module: module.name,
    module_version: order.moduleVersion,
    provider: order.provider,
    created_at: request.createdAt,
    deliver_by: order.deliverBy,
    max_price: formatTokenAmount(order.maxPrice),
    cost: request.price === null ? null : formatTokenAmount(request.price),
    currency,
    verified: job.verified,
    receipt: request.receipt,
    tx: job.settlement?.transaction ?? null,
    reason: job.reason,
    outputs: files.map(({ path, bytes, sha256 }) => ({
      path,
      bytes,
      sha256,
      url: `/v1/jobs/${orderHash}/outputs/${path.split('/').map(encodeURIComponent).join('/')}`,
    })),
  }
}
