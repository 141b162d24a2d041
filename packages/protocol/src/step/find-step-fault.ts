import type { SigningDomain } from '../eip712/typed-data.ts'
import type { ServerUsage } from '../module/server-usage.ts'
import type { Address, Bytes32 } from '../primitives/hex.ts'
import { type SignedStep, stepType } from './step.ts'
import type { StepTerms } from './step-terms.ts'

/** What a requester had of a stream when so many chunks of it had come. */
export type SeenReply = {
  readonly attempt: number
  readonly chunks: number
  readonly head: Bytes32
  readonly counted: ServerUsage
}

/**
 * Judges a step by what came.
 * @returns why the requester must not acknowledge it, in our words; undefined when it may
 */
export function findStepFault(
  { step, signature }: SignedStep,
  facts: {
    readonly domain: SigningDomain
    readonly orderHash: Bytes32
    readonly provider: Address
    readonly terms: StepTerms
    readonly maxPrice: bigint
    readonly seen: SeenReply
    /** Seconds since the order, with what two clocks may differ by. */
    readonly maxSeconds: number
  },
): string | undefined {
  const { domain, orderHash, provider, terms, maxPrice, seen, maxSeconds } = facts
  if (step.orderHash !== orderHash) return 'it is about another job'
  if (stepType.findSigner(domain, step, signature) !== provider) return 'it is not signed by the provider of the job'
  const isHere = step.attempt === seen.attempt && step.chunks === seen.chunks && step.head === seen.head
  if (!isHere) return 'it is about other chunks than those that came'
  const { inputUnits, outputUnits } = terms.units(seen.counted)
  if (step.inputUnits > inputUnits || step.outputUnits > outputUnits)
    return `it counts ${step.inputUnits} and ${step.outputUnits} units, of which ${inputUnits} and ${outputUnits} came`
  if (step.meteredSeconds > maxSeconds) return `it counts ${step.meteredSeconds} s, ${maxSeconds} s after the order`
  const price = terms.price(step)
  if (step.price !== price || price > maxPrice) return `it costs ${step.price}, by the ask ${price}`
  return undefined
}
