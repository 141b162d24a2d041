/** How far a provider lets a requester fall behind, where steps are acknowledged at all. */
export type StepPolicy = {
  /** Price of one step, in base units. @default 1 % of what the job can cost at most, but that of 64 output units at least */
  readonly stepPrice?: bigint
  /** Steps that may be made ahead of the last acknowledged one. @default 2 */
  readonly maxAhead?: number
  /** How long an acknowledgement is waited for with the model server held up, until the job is ended. @default 30 */
  readonly timeoutSeconds?: number
}

/** So fast a model may be that its requester's answer to a step takes as long as this many tokens. */
const leastUnits = 64n

/** The price of one step of an order. */
export function stepPriceOf(
  { stepPrice }: StepPolicy,
  order: { readonly mostPrice: bigint; readonly pricePerOutputUnit: bigint },
): bigint {
  const share = order.mostPrice / 100n
  const least = order.pricePerOutputUnit * leastUnits
  const price = stepPrice ?? (share > least ? share : least)
  return price > 0n ? price : 1n
}
