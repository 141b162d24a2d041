import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InputSchema, LilypadError } from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { failureFacts, type Logger } from '../log/logger.ts'
import { lowestOffer } from '../money/lowest-offer.ts'
import { cleanLine } from '../text/clean-text.ts'
import { type Pin, pinToolName } from './pin.ts'

/** What is kept of a pinned module, so that it can be listed without the network. */
export const PinnedModule = z.object({
  module: z.string(),
  /** Id of the version that is bought. */
  versionId: z.string().regex(/^0x[0-9a-f]{64}$/),
  version: z.string(),
  inputs: InputSchema,
  /** What a job cost at the lowest, in LILY, when the module was read. */
  price: z.object({ perJob: z.string(), isMetered: z.boolean() }).nullable(),
  readAt: z.int(),
})
export type PinnedModule = z.output<typeof PinnedModule>

/** The pinned version is not the one that is offered now. */
class PinOutdatedError extends LilypadError {
  override readonly name = 'PinOutdatedError'
  constructor({ module, version }: Pin, newest: string) {
    super('MODULE_UNKNOWN', 'The pinned version of the module is not the newest, and only ids name older ones.', {
      details: [`Pinned: ${module}@${version}   Newest: ${newest}`],
      hint: 'ask the user to pin the newest version, or the id of the other one (name@0x…)',
    })
  }
}

const freshMilliseconds = 24 * 60 * 60 * 1000

/** The pinned modules of a server: read from disk at its start, from the network after the first call. */
export type PinShelf = {
  readonly pins: readonly Pin[]
  /** The pin behind the name of a tool. */
  findPin(tool: string): Pin | undefined
  /** What is known without the network. */
  find(pin: Pin): PinnedModule | undefined
  /** What is known, from the network if nothing is. @throws LilypadError as reading a module does */
  get(pin: Pin): Promise<PinnedModule>
  /** Reads what is missing or more than a day old. @returns whether any tool looks other than before */
  refresh(): Promise<boolean>
}

/** Makes the shelf of a state folder. */
export function createPinShelf(options: {
  readonly pins: readonly Pin[]
  readonly directory: string
  readonly lilypad: Pick<Lilypad, 'getModule' | 'network'>
  readonly logger: Logger
  readonly now?: () => Date
}): PinShelf {
  const { pins, directory, lilypad, logger, now = () => new Date() } = options
  const { network } = lilypad
  const folder = join(directory, 'pins', String(network.chainId))
  // Two versions of one module are two files.
  const fileOf = ({ module, version = 'newest' }: Pin) => join(folder, `${module}@${version}.json`)
  const kept = new Map(pins.map((pin) => [pin, readKept(fileOf(pin))]))

  async function read(pin: Pin): Promise<PinnedModule> {
    const isId = pin.version?.startsWith('0x')
    const listing = await lilypad.getModule(isId ? (pin.version ?? pin.module) : pin.module)
    const { manifest } = listing
    const isPinned =
      listing.name === pin.module && (isId || pin.version === undefined || manifest.version === pin.version)
    if (!isPinned) throw new PinOutdatedError(pin, `${listing.name}@${cleanLine(manifest.version, 64)}`)
    const offer = lowestOffer(listing, network.contracts.lilyToken)
    const module: PinnedModule = {
      module: listing.name,
      versionId: listing.moduleVersion,
      version: manifest.version,
      inputs: manifest.inputs,
      price: offer
        ? {
            perJob: offer.price_per_job,
            isMetered: [offer.price_per_second, offer.price_per_input_unit, offer.price_per_output_unit].some(
              (price) => price !== '0',
            ),
          }
        : null,
      readAt: now().getTime(),
    }
    kept.set(pin, module)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const temporary = `${fileOf(pin)}.${crypto.randomUUID()}`
    writeFileSync(temporary, JSON.stringify(module), { mode: 0o600 })
    renameSync(temporary, fileOf(pin))
    return module
  }

  return {
    pins,
    findPin: (tool) => pins.find(({ module }) => pinToolName(module) === tool),
    find: (pin) => kept.get(pin),
    get: async (pin) => kept.get(pin) ?? read(pin),
    async refresh() {
      const look = () => JSON.stringify([...kept.values()].map((module) => module && { ...module, readAt: 0 }))
      const before = look()
      for (const pin of pins) {
        const age = now().getTime() - (kept.get(pin)?.readAt ?? 0)
        if (age < freshMilliseconds) continue
        await read(pin).catch((error: unknown) => {
          logger.warn({ module: pin.module, ...failureFacts(error) }, 'pinned module not read')
        })
      }
      return look() !== before
    },
  }
}

/** What another start has left. A file that cannot be read is as good as none: it is written anew. */
function readKept(file: string): PinnedModule | undefined {
  try {
    return PinnedModule.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}
