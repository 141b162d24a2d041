import {
  type Address,
  askType,
  type Bytes32,
  type ErrorCode,
  inputsDigest,
  InputsInvalidError,
  jobOrderType,
  jobPrice,
  type ModuleManifest,
  type OrderRequest,
  parseInputs,
  reservationType,
  type SignedReservation,
  sessionGrantType,
  type SigningDomain,
  zeroAddress,
  zeroBytes32,
  unitBounds,
} from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'

/** What the chain says of a payer, in base units. */
export type PayerAccount = {
  readonly balance: bigint
  readonly pendingWithdrawal: bigint
  readonly withdrawableAt: number
  /** Solver without whose consent nothing of it is paid before the withdraw delay; zero when there is none. */
  readonly guardian: Address
  /** When another guardian can come into force; zero when no change is pending. */
  readonly guardianChangesAt: number
}

/** What the chain says of a grant. `remaining` is what is left of the total; `spentToday` counts on the chain's current day. */
export type ChainGrant = {
  readonly isKnown: boolean
  readonly nonce: bigint
  readonly perJob: bigint
  readonly perDay: bigint
  readonly remaining: bigint
  readonly spentToday: bigint
  readonly validUntil: number
}

/**
 * What the operator is willing to lose. `maxPerPayer` and `maxPerSolver`: most that may be outstanding at a time (ordered, delivered or
 * acknowledged, and not on chain), in base units. `maxUnpaidSeconds`: most that one payer's failed and cancelled jobs, which cost it
 * nothing, may have run in 24 hours. No cap where none is set.
 */
export type ExposureCaps = {
  readonly maxPerPayer?: bigint
  readonly maxPerSolver?: bigint
  readonly maxUnpaidSeconds?: number
}

/** Everything an order is judged by. Nothing in it is looked up later. */
export type OrderFacts = {
  /** Order hash as the solver's frame names it. */
  readonly orderHash: Bytes32
  readonly request: OrderRequest
  readonly reservation: SignedReservation
  readonly domain: SigningDomain
  /** This provider. */
  readonly provider: Address
  /** The solver at the other end of the connection. */
  readonly solver: Address
  readonly acceptedTokens: readonly Address[]
  /** Manifest of the module version, when it is installed here. */
  readonly manifest: ModuleManifest | undefined
  /** Unix seconds. */
  readonly now: number
  /** Whether the lane's nonce belongs to another order, here or on chain. */
  readonly isNonceTaken: boolean
  /** Jobs that the chain has settled of this lane beyond those in the journal, and those whose claim or step was paid instead of their voucher. */
  readonly unknownLaneJobs: number
  /** Whether a lane of jobs that follow each other has one that is not over. */
  readonly isLaneOpen: boolean
  /** Hash of a reservation seen before with this payer, token and sequence, and of the one before it. */
  readonly knownReservation: Bytes32 | undefined
  readonly knownPrevious: Bytes32 | undefined
  readonly account: PayerAccount
  /** What the payer, and the key alone, may already owe this provider beyond the chain. */
  readonly payerExposure: bigint
  readonly keyExposure: bigint
  /** What jobs that came through the solver have not brought yet. */
  readonly solverExposure: bigint
  /** Seconds that the payer's jobs ran here in the last 24 hours without a price. */
  readonly unpaidSeconds: number
  readonly caps: ExposureCaps
  readonly chainGrant: ChainGrant | undefined
  /** Whether the payer, plain key or contract, signed the grant that came with the order. */
  readonly isGrantSigned: boolean
}

/** One rule that an order breaks: what the solver and the requester are told. */
export type Violation = { readonly rule: string; readonly code: ErrorCode; readonly reason: string }

/** Longest time between the order's arrival and its deadline, besides the module's own timeout. */
export const maxOrderSeconds = 6 * 3600
/** Time after `deliverBy` in which the acknowledgement is still expected to reach the chain. */
export const settleGraceSeconds = 3600
/** How far the clocks of two honest parties may differ. */
export const clockSkewSeconds = 120

/**
 * Lists every rule the order breaks; none means that the provider can run it and be paid. Pure: the same facts give
 * the same answer anywhere, and no CPU cycle of a stranger's program runs before it.
 */
export function checkOrder(facts: OrderFacts): readonly Violation[] {
  const violations: Violation[] = []
  const rule = (name: string, code: ErrorCode, holds: boolean, reason: string) => {
    if (!holds) violations.push({ rule: name, code, reason })
  }
  checkSignedOrder(facts, rule)
  checkAsk(facts, rule)
  checkTimes(facts, rule)
  checkModule(facts, rule)
  checkReservation(facts, rule)
  checkMoney(facts, rule)
  checkCaps(facts, rule)
  checkGuardian(facts, rule)
  checkKey(facts, rule)
  return violations
}

type Rule = (name: string, code: ErrorCode, holds: boolean, reason: string) => void

function checkSignedOrder(
  { domain, orderHash, request, provider, solver, acceptedTokens }: OrderFacts,
  rule: Rule,
): void {
  const { order, signature } = request
  rule(
    'order-hash',
    'DIGEST_MISMATCH',
    jobOrderType.hash(domain, order) === orderHash,
    'the order has another hash than the frame names',
  )
  rule(
    'order-signature',
    'SIGNATURE_INVALID',
    jobOrderType.findSigner(domain, order, signature) === order.key,
    'the order is not signed by its key',
  )
  rule('order-provider', 'INVALID_REQUEST', order.provider === provider, 'the order is for another provider')
  rule('order-solver', 'INVALID_REQUEST', order.solver === solver, 'the order names another solver')
  rule('order-token', 'INVALID_REQUEST', acceptedTokens.includes(order.token), 'the provider does not take this token')
}

function checkAsk({ domain, request, provider, now }: OrderFacts, rule: Rule): void {
  const { order } = request
  const { ask, signature } = request.ask
  rule(
    'ask-hash',
    'DIGEST_MISMATCH',
    askType.hash(domain, ask) === order.askHash,
    'the ask is not the one the order names',
  )
  rule(
    'ask-signature',
    'SIGNATURE_INVALID',
    askType.findSigner(domain, ask, signature) === provider,
    'the ask is not one of this provider',
  )
  const isSame =
    ask.provider === order.provider &&
    ask.solver === order.solver &&
    ask.moduleVersion === order.moduleVersion &&
    ask.token === order.token
  rule(
    'ask-terms',
    'INVALID_REQUEST',
    isSame,
    'the ask is for another provider, solver, module or token than the order',
  )
  rule('ask-valid', 'QUOTE_EXPIRED', ask.validUntil >= now, 'the ask is no longer valid')
}

function checkTimes({ request, manifest, now }: OrderFacts, rule: Rule): void {
  const { order } = request
  rule('start-by', 'ORDER_EXPIRED', order.startBy >= now, 'the job had to be started earlier')
  rule('deliver-by', 'ORDER_EXPIRED', order.deliverBy > now, 'the job had to be delivered earlier')
  rule('times-ordered', 'INVALID_REQUEST', order.startBy <= order.deliverBy, 'the job is due before it has to start')
  const longest = maxOrderSeconds + (manifest?.limits.timeoutSeconds ?? 0)
  rule(
    'order-life',
    'INVALID_REQUEST',
    order.deliverBy <= now + longest,
    `the job is due more than ${longest} seconds from now`,
  )
}

function checkModule({ request, manifest }: OrderFacts, rule: Rule): void {
  const { order, inputs } = request
  rule(
    'inputs-digest',
    'DIGEST_MISMATCH',
    safely(() => inputsDigest(inputs)) === order.inputsDigest,
    'the inputs are not the ones the order names',
  )
  rule('module-installed', 'MODULE_UNKNOWN', manifest !== undefined, 'the provider does not run this module version')
  if (manifest === undefined) return
  const problem = findInputsProblem(manifest, request)
  rule('inputs-schema', 'INPUTS_INVALID', problem === undefined, `the inputs do not fit the module: ${problem}`)
  if (problem !== undefined) return
  // Units that only the reply tells have to be paid for whatever they turn out to be.
  const { inputUnits, outputUnits } = unitBounds(manifest, inputs)
  const least = jobPrice(request.ask.ask, { meteredSeconds: 1, inputUnits, outputUnits: Math.min(1, outputUnits) })
  rule(
    'max-price',
    'PRICE_OVER_CAP',
    order.maxPrice >= least,
    `the job costs at least ${formatTokenAmount(least)} LILY, the order pays at most ${formatTokenAmount(order.maxPrice)} LILY`,
  )
}

function checkReservation(facts: OrderFacts, rule: Rule): void {
  const { domain, request, now, knownReservation, knownPrevious } = facts
  const { order } = request
  const { reservation, signature } = facts.reservation
  rule(
    'reservation-signature',
    'SIGNATURE_INVALID',
    reservationType.findSigner(domain, reservation, signature) === order.solver,
    'the reservation is not signed by the solver of the order',
  )
  const isSame =
    reservation.orderHash === facts.orderHash &&
    reservation.solver === order.solver &&
    reservation.payer === order.payer &&
    reservation.token === order.token
  rule('reservation-order', 'INVALID_REQUEST', isSame, 'the reservation is for another order')
  rule(
    'reservation-amount',
    'INSUFFICIENT_BALANCE',
    reservation.amount >= order.maxPrice,
    'less is reserved than the order may cost',
  )
  rule(
    'reservation-outstanding',
    'INVALID_REQUEST',
    reservation.outstanding >= reservation.amount,
    'the reservation does not count itself',
  )
  rule(
    'reservation-time',
    'INVALID_REQUEST',
    reservation.reservedAt <= now + clockSkewSeconds,
    'the reservation is from the future',
  )
  const isFirst = reservation.sequence === 1
  rule(
    'reservation-chain',
    'INVALID_REQUEST',
    reservation.sequence >= 1 && isFirst === (reservation.previous === zeroBytes32),
    'the reservation does not say which one it follows',
  )
  const hash = reservationType.hash(domain, reservation)
  const contradicts =
    (knownReservation !== undefined && knownReservation !== hash) ||
    (knownPrevious !== undefined && knownPrevious !== reservation.previous)
  rule(
    'reservation-unique',
    'STATE_CONFLICT',
    !contradicts,
    'the solver signed two reservations with one sequence number',
  )
}

function checkMoney(
  { request, account, payerExposure, isNonceTaken, isLaneOpen, unknownLaneJobs }: OrderFacts,
  rule: Rule,
): void {
  const { order } = request
  rule('nonce', 'NONCE_USED', !isNonceTaken, 'the nonce of the lane belongs to another order')
  rule(
    'lane-history',
    'STATE_CONFLICT',
    unknownLaneJobs === 0,
    'the lane has settled jobs that this provider has no record of; use a new lane',
  )
  // The vouchers for steps of two jobs have the same place in the lane, so only one of them would be paid.
  rule(
    'lane-open',
    'STATE_CONFLICT',
    !isLaneOpen,
    'a job of the lane is not over, and it pays one at a time; use a new lane',
  )
  // Money on its way out still pays, unless it can be gone before the voucher reaches the chain.
  const isLeaving = account.withdrawableAt <= order.deliverBy + settleGraceSeconds
  const covers = account.balance - (isLeaving ? account.pendingWithdrawal : 0n)
  rule(
    'balance',
    'INSUFFICIENT_BALANCE',
    covers >= payerExposure + order.maxPrice,
    `the payer has ${covers} for ${payerExposure + order.maxPrice}`,
  )
}

/** How much the operator is willing to lose to one party; a refusal says what would make room. */
function checkCaps({ request, payerExposure, solverExposure, unpaidSeconds, caps }: OrderFacts, rule: Rule): void {
  const { maxPrice } = request.order
  const { maxPerPayer, maxPerSolver, maxUnpaidSeconds } = caps
  rule(
    'payer-cap',
    'JOB_DECLINED',
    maxPerPayer === undefined || payerExposure + maxPrice <= maxPerPayer,
    `the payer would have ${payerExposure + maxPrice} outstanding at this provider, which takes ${maxPerPayer}; acknowledge finished jobs, or take another provider`,
  )
  rule(
    'solver-cap',
    'JOB_DECLINED',
    maxPerSolver === undefined || solverExposure + maxPrice <= maxPerSolver,
    `jobs of this solver would have ${solverExposure + maxPrice} outstanding at this provider, which takes ${maxPerSolver}; try again later`,
  )
  rule(
    'unpaid-cap',
    'JOB_DECLINED',
    maxUnpaidSeconds === undefined || unpaidSeconds < maxUnpaidSeconds,
    `failed and cancelled jobs of the payer have run ${unpaidSeconds} s here in 24 hours without a price, and this provider gives ${maxUnpaidSeconds} s; take another provider, or wait`,
  )
}

/** From a guarded account only its guardian can have a job paid at once, so the one that reserved the job has to be it, and stay it. */
function checkGuardian({ request, account }: OrderFacts, rule: Rule): void {
  const { order } = request
  const { guardian, guardianChangesAt } = account
  if (guardian === zeroAddress) return
  rule(
    'payer-guardian',
    'GUARDIAN_MISMATCH',
    guardian === order.solver,
    `the payer's guardian is ${guardian}, not the solver of the order`,
  )
  rule(
    'payer-guardian-stays',
    'GUARDIAN_MISMATCH',
    guardianChangesAt === 0 || guardianChangesAt > order.deliverBy + settleGraceSeconds,
    'the payer leaves its guardian before the job would be paid',
  )
}

function checkKey({ domain, request, now, keyExposure, chainGrant, isGrantSigned }: OrderFacts, rule: Rule): void {
  const { order } = request
  if (order.key === order.payer) return
  const signed = request.grant?.grant
  if (signed !== undefined) {
    const isSame = signed.payer === order.payer && signed.key === order.key && signed.token === order.token
    rule('grant-terms', 'GRANT_INVALID', isSame, 'the grant is for another payer, key or token')
    const isPlain =
      request.grant !== null && sessionGrantType.findSigner(domain, signed, request.grant.signature) === order.payer
    rule('grant-signature', 'GRANT_INVALID', isPlain || isGrantSigned, 'the grant is not signed by the payer')
    rule(
      'grant-roots',
      'GRANT_INVALID',
      signed.providersRoot === zeroBytes32 && signed.modulesRoot === zeroBytes32,
      'grants with lists of providers or modules are not supported yet',
    )
  }
  // The chain's grant counts once it is as new as the signed one; before, the signed one will be registered.
  const onChain =
    chainGrant?.isKnown && (signed === undefined || chainGrant.nonce >= signed.nonce) ? chainGrant : undefined
  const caps = onChain ?? (signed && { ...signed, remaining: signed.total, spentToday: chainGrant?.spentToday ?? 0n })
  rule('grant-known', 'GRANT_INVALID', caps !== undefined, 'the key has no grant of the payer')
  if (caps === undefined) return
  rule('grant-valid', 'GRANT_INVALID', caps.validUntil >= now, 'the grant has ended')
  rule(
    'grant-job-cap',
    'OVER_JOB_LIMIT',
    order.maxPrice <= caps.perJob,
    `the order may cost ${order.maxPrice}, the grant allows ${caps.perJob} for a job`,
  )
  rule(
    'grant-day-cap',
    'OVER_DAY_LIMIT',
    caps.spentToday + keyExposure + order.maxPrice <= caps.perDay,
    `the grant allows ${caps.perDay} for a day`,
  )
  rule(
    'grant-total-cap',
    'OVER_TOTAL_LIMIT',
    keyExposure + order.maxPrice <= caps.remaining,
    `the grant has ${caps.remaining} left`,
  )
}

function findInputsProblem(manifest: ModuleManifest, request: OrderRequest): string | undefined {
  try {
    parseInputs(manifest.inputs, request.inputs)
    return undefined
  } catch (error) {
    return error instanceof InputsInvalidError
      ? error.problems.slice(0, 3).join('; ').slice(0, 250)
      : 'they cannot be read'
  }
}

function safely<T>(call: () => T): T | undefined {
  try {
    return call()
  } catch {
    return undefined
  }
}
