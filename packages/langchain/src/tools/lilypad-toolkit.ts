import { BaseToolkit, type DynamicStructuredTool } from '@langchain/core/tools'
import { parseTokenAmount } from '@lilypad-agents/sdk'
import type { ModuleOffer } from '../payer/payer.ts'
import { lilypadJobStatusTool } from './lilypad-job-status-tool.ts'
import { lilypadQuoteTool } from './lilypad-quote-tool.ts'
import { createModuleTool, type LilypadToolOptions } from './lilypad-tool.ts'
import { toToolName } from './tool-name.ts'

export type LilypadToolkitOptions = Omit<LilypadToolOptions, 'name'> & {
  /** Words that the registry searches for. */
  readonly query?: string | undefined
  /** Names of the only modules that become tools. @default every module that is offered now */
  readonly allow?: readonly string[] | undefined
  readonly filter?: ((module: ModuleOffer) => boolean) | undefined
  /** Most modules that become tools: each takes room in every prompt. @default 20 */
  readonly limit?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const page = 100

/**
 * The modules of a network as tools, with a tool for prices and one for the state of jobs.
 * @example
 * const { tools } = await LilypadToolkit.fromRegistry({ payer, allow: ['tts'], maxPrice: '0.01' })
 */
export class LilypadToolkit extends BaseToolkit {
  override readonly tools: DynamicStructuredTool[]

  constructor(modules: readonly ModuleOffer[], options: LilypadToolOptions) {
    super()
    const free = [lilypadQuoteTool(options), lilypadJobStatusTool(options)]
    const taken = new Set(free.map(({ name }) => name))
    const paid = modules.map((module) => {
      const name = toToolName(module.name, taken)
      taken.add(name)
      return createModuleTool(module, { ...options, name })
    })
    this.tools = [...paid, ...free]
  }

  /** Reads what is offered now. A module that already costs more than `maxPrice` before it runs is left out. */
  static async fromRegistry(options: LilypadToolkitOptions): Promise<LilypadToolkit> {
    const { payer, query, allow, filter = () => true, limit = 20, maxPrice, signal } = options
    const cap = maxPrice === undefined ? undefined : parseTokenAmount(maxPrice)
    const isWanted = (module: ModuleOffer) =>
      module.providers > 0 &&
      (allow === undefined || allow.includes(module.name)) &&
      (cap === undefined || parseTokenAmount(module.price.perJob) <= cap) &&
      filter(module)
    const found: ModuleOffer[] = []
    let cursor: string | null | undefined
    do {
      const { modules, nextCursor } = await payer.listModules(
        { query, limit: page, cursor: cursor ?? undefined },
        { signal },
      )
      found.push(...modules.filter(isWanted))
      cursor = nextCursor
    } while (cursor && found.length < limit)
    return new LilypadToolkit(found.slice(0, limit), options)
  }
}
