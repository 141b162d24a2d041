import { json, Router } from 'express'
import {
  LilypadError,
  moduleManifestDigest,
  ModuleListing,
  moduleVersionId,
  parseWire,
  PublishRequest,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import { findAskProblem } from '../attestation/find-ask-problem.ts'
import { nowSeconds, type SolverContext } from '../context.ts'
import type { CatalogModule } from '../module/module-catalog.ts'
import { searchModules } from '../module/search-modules.ts'

const ListQuery = z.object({
  query: z.string().max(200).default(''),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  /** Opaque to callers: the last module that was listed, so that modules published meanwhile shift no page. */
  cursor: z.string().max(200).optional(),
})

/** `GET /modules`, `GET /modules/{name or version}`, `POST /modules`. */
export function moduleRoutes(context: SolverContext): Router {
  const router = Router()

  function toListing(module: CatalogModule): z.input<typeof ModuleListing> {
    const now = nowSeconds(context)
    const offers = context.providers
      .listAsks()
      .map(({ ask }) => ask)
      .filter(
        (ask) =>
          ask.moduleVersion === module.moduleVersion &&
          ask.validUntil > now &&
          findAskProblem(context, ask) === undefined,
      )
      .sort((a, b) => (a.pricePerJob < b.pricePerJob ? -1 : 1))
      .slice(0, 100)
      .map(({ provider, pricePerJob, pricePerSecond, pricePerInputUnit, pricePerOutputUnit, token }) => ({
        provider,
        pricePerJob,
        pricePerSecond,
        pricePerInputUnit,
        pricePerOutputUnit,
        token,
        region: context.providers.findRegion(provider),
        ...(context.providers.isResident(provider, module.moduleVersion) ? { resident: true } : {}),
      }))
    return z.encode(ModuleListing, { ...module, offers })
  }

  router.get('/modules', (request, response) => {
    const { query, limit, cursor } = parseWire(ListQuery, request.query, 'query')
    const found = searchModules(context.catalog.listNewest(), query)
    const start = cursor === undefined ? 0 : found.findIndex(({ name }) => name === cursor) + 1
    if (cursor !== undefined && start === 0)
      throw new LilypadError('INVALID_REQUEST', 'The cursor is not one that was given out for this search.', {
        hint: 'search again without a cursor',
      })
    const page = found.slice(start, start + limit)
    response.json({
      modules: page.map(toListing),
      nextCursor: start + limit < found.length ? (page.at(-1)?.name ?? null) : null,
    })
  })

  router.get('/modules/:module', (request, response) => {
    response.json(toListing(context.catalog.get(request.params.module.toLowerCase())))
  })

  router.post('/modules', json({ limit: '1mb' }), async (request, response) => {
    const { manifest } = parseWire(PublishRequest, request.body, 'module')
    const manifestDigest = moduleManifestDigest(manifest)
    const moduleVersion = moduleVersionId(manifest.name, manifestDigest)
    const version = await context.chain.findVersion(moduleVersion)
    if (!version || version.manifestDigest !== manifestDigest) {
      throw new LilypadError('MODULE_UNKNOWN', 'The registry on chain has no version with this name and manifest.', {
        details: [`Name: ${manifest.name}`, `Manifest digest: ${manifestDigest}`, `Module version: ${moduleVersion}`],
        hint: 'publish the version in the registry first (`lilypad modules publish` does both)',
      })
    }
    const { author, feeBips, isDeprecated: deprecated, publishedAtBlock } = version
    const module = {
      moduleVersion,
      name: manifest.name,
      author,
      manifestDigest,
      feeBips,
      deprecated,
      publishedAtBlock,
      manifest,
    }
    await context.catalog.add(module, nowSeconds(context))
    context.log.info({ module: moduleVersion, name: manifest.name }, 'module.published')
    response.json(toListing(module))
  })
  return router
}
