import { LilypadError, type ModuleListing, type ModuleServer } from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'

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
}

const freshMilliseconds = 5000
const maxPages = 20
const uses: { readonly [protocol: string]: ModelUse } = { 'openai-chat': 'chat', 'openai-embeddings': 'embeddings' }

/** The models of a network, read again every few seconds. */
export function createModelCatalog(
  client: Pick<Lilypad, 'searchModules'>,
  clock: () => number = () => performance.now(),
): ModelCatalog {
  let known: { readonly at: number; readonly models: Promise<readonly Model[]> } | undefined

  async function read(): Promise<readonly Model[]> {
    const models: Model[] = []
    let cursor: string | undefined
    for (let page = 0; page < maxPages; page += 1) {
      const { modules, nextCursor } = await client.searchModules({ limit: 100, ...(cursor ? { cursor } : {}) })
      models.push(...modules.flatMap((listing) => toModel(listing) ?? []))
      if (nextCursor === null) break
      cursor = nextCursor
    }
    return models
  }

  function list(): Promise<readonly Model[]> {
    const at = clock()
    if (known && at - known.at < freshMilliseconds) return known.models
    const models = read()
    known = { at, models }
    models.catch(() => {
      if (known?.models === models) known = undefined
    })
    return models
  }

  return {
    list,
    async get(id, use) {
      const name = id.startsWith('lilypad/') ? id.slice('lilypad/'.length) : id
      const find = (models: readonly Model[]) => models.find((model) => model.id === name && model.use === use)
      const found = find(await list())
      if (found) return found
      throw new LilypadError('MODULE_UNKNOWN', `There is no model of this name for ${use}.`, {
        details: [`Model: ${JSON.stringify(id.slice(0, 100))}`],
        hint: 'GET /v1/models lists the models of now',
      })
    },
  }
}

function toModel(listing: ModuleListing): Model | undefined {
  const { runtime } = listing.manifest
  const server = runtime.kind === 'container' ? runtime.server : undefined
  const use = server && uses[server.protocol]
  if (!use || listing.deprecated) return undefined
  return { id: listing.name, use, listing, server }
}
