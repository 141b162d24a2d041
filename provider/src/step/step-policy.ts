/** How far a provider lets a requester fall behind, where steps are acknowledged at all. */
export type StepPolicy = {
  /** Price of one step, in base units. @default 1 % of the order's maximum */
  readonly stepPrice?: bigint
  /** Steps that may be made ahead of the last acknowledged one. @default 2 */
  readonly maxAhead?: number
  /** How long an acknowledgement is waited for with the model server held up, until the job is ended. @default 30 */
  readonly timeoutSeconds?: number
}

/** The price of one step of an order. */
export function stepPriceOf({ stepPrice }: StepPolicy, maxPrice: bigint): bigint {
  const price = stepPrice ?? maxPrice / 100n
  return price > 0n ? price : 1n
}
