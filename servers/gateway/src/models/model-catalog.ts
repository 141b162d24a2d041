import { LilypadError, type ModuleListing, type ModuleServer } from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'
import { type MediaModel, type MediaUse, toMediaModel } from './media-model.ts'

/** What a model can be asked for. */
export type ModelUse = 'chat' | 'embeddings'

/** A module that is a model. */
export type Model = {
  readonly id: string
  readonly use: ModelUse
  readonly listing: ModuleListing
  readonly server: ModuleServer
}

export type ModelCatalog = {
  list(): Promise<readonly Model[]>
  /** @throws LilypadError MODULE_UNKNOWN when no module of this name is a model for this use */
  get(id: string, use: ModelUse): Promise<Model>
  listMedia(): Promise<readonly MediaModel[]>
  /** @throws LilypadError MODULE_UNKNOWN when no module of this name is made for this use */
  getMedia(id: string, use: MediaUse): Promise<MediaModel>
}

const freshMilliseconds = 5000
const maxPages = 20
const uses: { readonly [protocol: string]: ModelUse } = { 'openai-chat': 'chat', 'openai-embeddings': 'embeddings' }

/** The models of a network, read again every few seconds. */
export function createModelCatalog(
  client: Pick<Lilypad, 'searchModules'>,
  clock: () => number = () => performance.now(),
): ModelCatalog {
  type Known = { readonly models: readonly Model[]; readonly media: readonly MediaModel[] }
  let known: { readonly at: number; readonly reading: Promise<Known> } | undefined

  async function read(): Promise<Known> {
    const models: Model[] = []
    const media: MediaModel[] = []
    let cursor: string | undefined
    for (let page = 0; page < maxPages; page += 1) {
      const { modules, nextCursor } = await client.searchModules({ limit: 100, ...(cursor ? { cursor } : {}) })
      models.push(...modules.flatMap((listing) => toModel(listing) ?? []))
      media.push(...modules.flatMap((listing) => toMediaModel(listing) ?? []))
      if (nextCursor === null) break
      cursor = nextCursor
    }
    return { models, media }
  }

  function look(): Promise<Known> {
    const at = clock()
    if (known && at - known.at < freshMilliseconds) return known.reading
    const reading = read()
    known = { at, reading }
    reading.catch(() => {
      if (known?.reading === reading) known = undefined
    })
    return reading
  }

  return {
    list: async () => (await look()).models,
    listMedia: async () => (await look()).media,
    get: async (id, use) => find((await look()).models, id, use),
    getMedia: async (id, use) => find((await look()).media, id, use),
  }
}

function find<M extends { readonly id: string; readonly use: string }>(
  models: readonly M[],
  id: string,
  use: M['use'],
): M {
  const name = id.startsWith('lilypad/') ? id.slice('lilypad/'.length) : id
  const found = models.find((model) => model.id === name && model.use === use)
  if (found) return found
  throw new LilypadError('MODULE_UNKNOWN', `There is no model of this name for ${use}.`, {
    details: [`Model: ${JSON.stringify(id.slice(0, 100))}`],
    hint: models.some((model) => model.use === use)
      ? 'GET /v1/models lists the models of now'
      : `no module of this network is made for ${use} now`,
  })
}

function toModel(listing: ModuleListing): Model | undefined {
  const { runtime } = listing.manifest
  const server = runtime.kind === 'container' ? runtime.server : undefined
  const use = server && uses[server.protocol]
  if (!use || listing.deprecated) return undefined
  return { id: listing.name, use, listing, server }
}
