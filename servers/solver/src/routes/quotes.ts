import { randomUUID } from 'node:crypto'
import { and, avg, count, countDistinct, eq, gt, inArray, isNotNull, isNull, ne, or } from 'drizzle-orm'
import { json, Router } from 'express'
import {
  type Address,
  askType,
  type Bytes32,
  inputsDigest,
  jobPrice,
  keccak256,
  LilypadError,
  parseInputs,
  parseWire,
  Quote,
  QuoteRequest,
  unitBounds,
} from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { smallerAmount } from '../amount/smaller-amount.ts'
import { findAskProblem } from '../attestation/find-ask-problem.ts'
import { nowSeconds, type SolverContext } from '../context.ts'
import { jobs } from '../db/schema.ts'
import { matchAsks } from '../matching/match-asks.ts'
import { maxOrderSeconds } from '../order/assert-order.ts'

const quoteSeconds = 300
/** How long after the quote an order may start: the quote's life, uploads, and a queue at the provider. */
const startWithinSeconds = 900
/** Given to a provider on top of the run for fetching, starting and handing in. */
const overheadSeconds = 120
/** How long a provider that declined a job or let it expire stands behind the others for this module. */
const setbackSeconds = 600

/** `POST /quotes`. Nothing of a quote is kept: an order carries everything it needs. */
export function quoteRoutes(context: SolverContext): Router {
  const router = Router()

  router.post('/quotes', json({ limit: '4mb' }), async (request, response) => {
    const asked = parseWire(QuoteRequest, request.body, 'quote request')
    const now = nowSeconds(context)
    const module = context.catalog.get(asked.module)
    if (module.deprecated) {
      throw new LilypadError('MODULE_DEPRECATED', 'The author has withdrawn this module version.', {
        hint: 'ask for the module by its name',
      })
    }
    const { moduleVersion, manifest } = module
    parseInputs(manifest.inputs, asked.inputs)
    const quoteId = keccak256(randomUUID())
    const { matches, cheapestOverCap } = matchAsks({
      asks: context.providers.listAsks().filter(({ ask }) => findAskProblem(context, ask) === undefined),
      moduleVersion,
      manifest,
      inputs: asked.inputs,
      token: context.contracts.lilyToken,
      maxPrice: asked.maxPrice,
      provider: asked.provider,
      only: asked.only,
      ignore: asked.ignore,
      prefer: asked.prefer,
      load: await countLoad(context),
      setbacks: await countSetbacks(context, moduleVersion, now - setbackSeconds),
      gpus: context.providers.listGpus(),
      isResident: (provider) => context.providers.isResident(provider, moduleVersion),
      seed: quoteId,
      now,
    })
    const [best] = matches
    if (!best) throw noMatch(module.name, cheapestOverCap, asked)
    const { ask } = best.signedAsk
    const expectedSeconds =
      (await findUsualSeconds(context, moduleVersion)) ?? Math.min(manifest.limits.timeoutSeconds, 10)
    const expected = jobPrice(ask, {
      meteredSeconds: Math.ceil(expectedSeconds),
      ...unitBounds(manifest, asked.inputs),
    })
    // A provider stops a run that the order's maximum no longer covers, so a cap below the longest run is allowed.
    const maxPrice = smallerAmount(asked.maxPrice ?? best.most, best.most)
    const startBy = now + startWithinSeconds
    const quote: Quote = {
      quoteId,
      module: module.name,
      moduleVersion,
      manifestDigest: module.manifestDigest,
      // Of the inputs as they came: the order has to carry the same.
      inputsDigest: inputsDigest(asked.inputs),
      ask: best.signedAsk,
      maxPrice,
      expectedPrice: smallerAmount(expected, maxPrice),
      expectedSeconds,
      startBy,
      deliverBy: Math.min(startBy + manifest.limits.timeoutSeconds + overheadSeconds, now + maxOrderSeconds),
      expiresAt: Math.min(now + quoteSeconds, ask.validUntil),
    }
    context.log.info({ quoteId, module: moduleVersion, ask: askType.hash(context.domain, ask) }, 'job.quoted')
    response.json(z.encode(Quote, quote))
  })
  return router
}

function noMatch(module: string, cheapest: bigint | undefined, asked: QuoteRequest): LilypadError {
  const { maxPrice, provider, only, ignore = [] } = asked
  if (cheapest !== undefined && maxPrice !== undefined) {
    return new LilypadError('PRICE_OVER_CAP', 'Every provider of this module asks more than the maximum price.', {
      details: [
        `Expected: at most ${formatTokenAmount(maxPrice)} LILY   Actual: at least ${formatTokenAmount(cheapest)} LILY`,
      ],
      hint: 'raise maxPrice, or try again when a cheaper provider is there',
    })
  }
  return new LilypadError('NO_PROVIDER_AVAILABLE', 'No provider offers this module now.', {
    details: [`Module: ${module}`],
    hint:
      provider !== undefined || only !== undefined || ignore.length > 0
        ? 'allow other providers, or try again in a few seconds'
        : 'try again in a few seconds, or start a provider with `lilypad provider start`',
  })
}

/** Jobs each provider has to do now. */
async function countLoad(context: SolverContext): Promise<ReadonlyMap<Address, number>> {
  const rows = await context.database
    .select({ provider: jobs.provider, load: count() })
    .from(jobs)
    .where(inArray(jobs.state, ['reserved', 'running']))
    .groupBy(jobs.provider)
  return new Map(rows.map(({ provider, load }) => [provider, load]))
}

/** Payers each provider lately let down with this module: by payers, so that one of them alone pushes nobody far back. */
async function countSetbacks(
  context: SolverContext,
  moduleVersion: Bytes32,
  since: number,
): Promise<ReadonlyMap<Address, number>> {
  const rows = await context.database
    .select({ provider: jobs.provider, payers: countDistinct(jobs.payer) })
    .from(jobs)
    .where(
      and(
        eq(jobs.moduleVersion, moduleVersion),
        gt(jobs.updatedAt, since),
        inArray(jobs.state, ['declined', 'expired']),
        // What waited for its inputs was let down by the requester.
        eq(jobs.missingInputs, 0),
        // What was delivered and not acknowledged, too.
        isNull(jobs.receiptHash),
        // Whoever cancels before the provider has answered was let down by nobody.
        or(isNull(jobs.reasonCode), ne(jobs.reasonCode, 'CANCELLED')),
      ),
    )
    .groupBy(jobs.provider)
  return new Map(rows.map(({ provider, payers }) => [provider, payers]))
}

/** How long runs of this module took so far, in seconds. */
async function findUsualSeconds(context: SolverContext, moduleVersion: Bytes32): Promise<number | undefined> {
  const recent = context.database
    .select({ runMilliseconds: jobs.runMilliseconds })
    .from(jobs)
    .where(and(eq(jobs.moduleVersion, moduleVersion), isNotNull(jobs.runMilliseconds)))
    .limit(50)
    .as('recent')
  const [row] = await context.database.select({ usual: avg(recent.runMilliseconds) }).from(recent)
  return row?.usual == null ? undefined : Number(row.usual) / 1000
}
