import { LilypadError } from '@lilypad-agents/protocol'
import { type ChainClient, ContractRevertedError, revertedInBlock, translateChainErrors } from '@lilypad-agents/sdk'

/** More than a signed transfer of any token we know costs. */
export const transferGas = 150_000n
const dayMilliseconds = 86_400_000

/** Sending would cost more gas than the operator allows. Nothing was sent. */
class GasRefusedError extends LilypadError {
  override readonly name = 'GasRefusedError'
  constructor() {
    super('RATE_LIMITED', 'The gateway sends no more transactions now, for what gas would cost it.', {
      hint: 'try again later; nothing was sent',
    })
  }
}

export type GasBudget = {
  /** Whether a transaction would be sent now. */
  isOpen(): Promise<boolean>
  /** @throws GasRefusedError when a transaction would be refused now */
  check(): Promise<void>
  /**
   * Counts one transaction and sends it. One that the chain refused before it was sent has cost nothing, and is not counted.
   * @throws GasRefusedError and nothing is sent; what `send` throws
   */
  spend<T>(send: () => Promise<T>): Promise<T>
}

/** What this process may spend on gas: a bound on the price, and one on the sum of any 24 hours. */
export function createGasBudget(
  client: ChainClient,
  limits: { readonly maxGasPrice: bigint; readonly gasPerDay: bigint },
  clock: () => number = Date.now,
): GasBudget {
  let spent: { readonly at: number; readonly wei: bigint }[] = []

  async function price(): Promise<bigint> {
    const gasPrice = await translateChainErrors('eth_gasPrice', () => client.getGasPrice())
    if (gasPrice > limits.maxGasPrice) throw new GasRefusedError()
    const since = clock() - dayMilliseconds
    spent = spent.filter(({ at }) => at > since)
    const wei = gasPrice * transferGas
    if (spent.reduce((sum, entry) => sum + entry.wei, wei) > limits.gasPerDay) throw new GasRefusedError()
    return wei
  }

  return {
    isOpen: () =>
      price().then(
        () => true,
        (error: unknown) => {
          if (error instanceof GasRefusedError) return false
          throw error
        },
      ),
    async check() {
      await price()
    },
    async spend(send) {
      const entry = { wei: await price(), at: clock() }
      spent.push(entry)
      try {
        return await send()
      } catch (error) {
        if (error instanceof ContractRevertedError && error.errorName !== revertedInBlock)
          spent = spent.filter((other) => other !== entry)
        throw error
      }
    },
  }
}
