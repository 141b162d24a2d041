import { randomBytes } from 'node:crypto'
import {
  type Address,
  type Bytes32,
  type Signer,
  type SignedAsk,
  type SigningDomain,
  toHex,
} from '@lilypad-agents/protocol'
import type { InstalledModule } from '../module/install-module.ts'
import { createAsk, isDue, signAsk } from './create-ask.ts'
import { type Pricing, pricesOf } from './pricing.ts'

export type AskBookOptions = {
  readonly domain: SigningDomain
  readonly signer: Signer
  readonly token: Address
  readonly slots: number
  readonly pricing: Pricing
}

/** The asks that stand. One is kept until half of its time is over, so that a reconnection does not void quotes. */
export class AskBook {
  readonly #options: AskBookOptions
  #asks = new Map<Bytes32, SignedAsk>()

  constructor(options: AskBookOptions) {
    this.#options = options
  }

  /** Asks for these modules at this solver, new where needed. `hasChanged` tells whether the solver has to be told. */
  renew(
    modules: readonly InstalledModule[],
    solver: Address,
    now: number,
  ): { readonly asks: readonly SignedAsk[]; readonly hasChanged: boolean } {
    const { domain, signer, token, slots, pricing } = this.#options
    const next = new Map<Bytes32, SignedAsk>()
    for (const { moduleVersion, manifest } of modules) {
      const standing = this.#asks.get(moduleVersion)
      const canStay = standing !== undefined && standing.ask.solver === solver && !isDue(standing.ask, now)
      const salt = toHex(randomBytes(32))
      next.set(
        moduleVersion,
        canStay
          ? standing
          : signAsk(
              domain,
              createAsk({
                provider: signer.address,
                solver,
                token,
                moduleVersion,
                prices: pricesOf(pricing, { name: manifest.name, moduleVersion, listPrice: manifest.price }),
                isOutputMetered: manifest.units.outputFrom?.kind === 'server-usage',
                slots: manifest.runtime.kind === 'container' ? (manifest.runtime.server?.concurrency ?? slots) : slots,
                now,
                salt,
              }),
              signer,
            ),
      )
    }
    const hasChanged =
      next.size !== this.#asks.size || [...next].some(([version, ask]) => this.#asks.get(version) !== ask)
    this.#asks = next
    return { asks: [...next.values()], hasChanged }
  }
}
