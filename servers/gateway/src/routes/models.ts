import { type Request, Router } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'
import type { GatewayContext } from '../context.ts'
import { mediaModelBody, modelBody } from '../models/model-body.ts'

/** `GET /v1/models` and one of them, in the shape of OpenAI and OpenRouter at once. Needs no key. */
export function modelRoutes(context: GatewayContext): Router {
  const router = Router()
  const { usdPerLilyWad } = context.rules
  const listBodies = async () => {
    const [models, media] = await Promise.all([context.models.list(), context.models.listMedia()])
    return [
      ...models.map((model) => modelBody(model, usdPerLilyWad)),
      ...media.map((model) => mediaModelBody(model, usdPerLilyWad)),
    ]
  }

  router.get('/v1/models', async (_request, response) => {
    const data = await listBodies()
    const [first, last] = [data[0], data.at(-1)]
    response.json({
      object: 'list',
      data,
      total_count: data.length,
      links: { next: null },
      // Anthropic's clients page by these.
      has_more: false,
      first_id: first?.id ?? null,
      last_id: last?.id ?? null,
    })
  })

  router.get(['/v1/models/:id', '/v1/models/lilypad/:id'], async (request: Request<{ id: string }>, response) => {
    const found = (await listBodies()).find(({ id }) => id === request.params.id)
    if (!found)
      throw new LilypadError('MODULE_UNKNOWN', 'There is no model of this name.', {
        hint: 'GET /v1/models lists the models of now',
      })
    response.json(found)
  })
  return router
}
