import {
  askType,
  createSigner,
  inputsDigest,
  jobOrderType,
  type JobOrder,
  ModuleManifest,
  moduleManifestDigest,
  moduleVersionId,
  type OrderRequest,
  type Reservation,
  reservationType,
  sessionGrantType,
  type SessionGrant,
  sha256,
  type SignedGrant,
  zeroAddress,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { describe, expect, test } from 'vitest'
import {
  checkOrder,
  type ChainGrant,
  clockSkewSeconds,
  maxOrderSeconds,
  type OrderFacts,
  settleGraceSeconds,
} from './check-order.ts'

const now = 1_800_000_000
const key = (digit: string) => createSigner(`0x${digit.repeat(64)}`)
const [provider, payer, session, solver, stranger] = [key('1'), key('2'), key('3'), key('4'), key('5')]
const domain = { chainId: 31_337, vault: `0x${'aa'.repeat(20)}` } as const
const token = `0x${'bb'.repeat(20)}` as const
const otherToken = `0x${'cc'.repeat(20)}` as const

const manifest = ModuleManifest.parse({
  schema: 'lilypad/module@1',
  name: 'pond',
  version: '1.0.0',
  kind: 'module',
  title: '',
  summary: '',
  description: '',
  runtime: {
    kind: 'wasm',
    program: { sha256: sha256('program'), bytes: 7, mediaType: 'application/wasm' },
    args: ['{text}'],
    stdin: 'none',
    env: {},
  },
  inputs: {
    type: 'object',
    properties: { text: { type: 'string', maxLength: 10 } },
    required: ['text'],
    additionalProperties: false,
  },
  outputs: { files: [], result: null },
  limits: {
    timeoutSeconds: 10,
    memoryBytes: 2 ** 20,
    cpuMillis: 1000,
    outputBytes: 0,
    outputFiles: 0,
    logBytes: 0,
    scratchBytes: 0,
    pids: 1,
  },
  units: { input: 'character', output: '', inputFrom: { kind: 'string-length', property: 'text' } },
  price: { pricePerJob: '0', pricePerSecond: '0', pricePerInputUnit: '0', pricePerOutputUnit: '0' },
  determinism: 'exact',
  comparator: { name: 'exact' },
  licence: { code: '', weights: '' },
  author: { feeBips: 0 },
})
const moduleVersion = moduleVersionId('pond', moduleManifestDigest(manifest))
const ask = {
  provider: provider.address,
  solver: solver.address,
  moduleVersion,
  token,
  pricePerJob: 100n,
  pricePerSecond: 10n,
  pricePerInputUnit: 1n,
  pricePerOutputUnit: 0n,
  slots: 1,
  validUntil: now + 100,
  salt: zeroBytes32,
}
const inputs = { text: 'frog' }
const leastPrice = 100n + 10n + 4n

const unguarded = { guardian: zeroAddress, guardianChangesAt: 0 }
const guardedBy = (guardian: typeof solver, guardianChangesAt = 0): Change => ({
  facts: {
    account: {
      balance: 1000n,
      pendingWithdrawal: 0n,
      withdrawableAt: 0,
      guardian: guardian.address,
      guardianChangesAt,
    },
  },
})

const plainOrder: JobOrder = {
  payer: payer.address,
  key: payer.address,
  moduleVersion,
  inputsDigest: inputsDigest(inputs),
  askHash: askType.hash(domain, ask),
  provider: provider.address,
  solver: solver.address,
  token,
  maxPrice: 500n,
  lane: 0,
  nonce: 0,
  startBy: now + 60,
  deliverBy: now + 120,
  verification: 0,
  auditCommit: zeroBytes32,
}
const plainGrant: SessionGrant = {
  payer: payer.address,
  key: session.address,
  token,
  perJob: 500n,
  perDay: 1000n,
  total: 2000n,
  validUntil: now + 1000,
  providersRoot: zeroBytes32,
  modulesRoot: zeroBytes32,
  nonce: 1n,
}

type Change = {
  readonly order?: Partial<JobOrder>
  readonly orderSigner?: typeof payer
  readonly ask?: Partial<typeof ask>
  readonly askSigner?: typeof payer
  /** Names the changed ask in the order, as a requester would who was offered it. */
  readonly isAskOrdered?: boolean
  readonly reservation?: Partial<Reservation>
  readonly reservationSigner?: typeof payer
  readonly grant?: Partial<SessionGrant>
  readonly grantSigner?: typeof payer
  readonly hasGrant?: boolean
  readonly request?: Partial<OrderRequest>
  readonly facts?: Partial<OrderFacts>
}

/** An order that is fine but for the change, signed throughout. */
function factsWith(change: Change = {}): OrderFacts {
  const signedAsk = { ...ask, ...change.ask }
  const order = {
    ...plainOrder,
    ...(change.isAskOrdered ? { askHash: askType.hash(domain, signedAsk) } : {}),
    ...change.order,
  }
  const orderSigner = change.orderSigner ?? (order.key === session.address ? session : payer)
  const grantTerms = { ...plainGrant, ...change.grant }
  const grant: SignedGrant | null =
    change.hasGrant || change.grant || change.grantSigner
      ? { grant: grantTerms, signature: sessionGrantType.sign(domain, grantTerms, change.grantSigner ?? payer) }
      : null
  const orderHash = jobOrderType.hash(domain, order)
  const reservation: Reservation = {
    orderHash,
    solver: solver.address,
    payer: payer.address,
    token,
    sequence: 1,
    previous: zeroBytes32,
    amount: order.maxPrice,
    outstanding: order.maxPrice,
    reservedAt: now,
    ...change.reservation,
  }
  return {
    orderHash,
    request: {
      order,
      signature: jobOrderType.sign(domain, order, orderSigner),
      grant,
      ask: { ask: signedAsk, signature: askType.sign(domain, signedAsk, change.askSigner ?? provider) },
      inputs,
      ...change.request,
    },
    reservation: {
      reservation,
      signature: reservationType.sign(domain, reservation, change.reservationSigner ?? solver),
    },
    domain,
    provider: provider.address,
    solver: solver.address,
    acceptedTokens: [token],
    manifest,
    now,
    isNonceTaken: false,
    unknownLaneJobs: 0,
    isLaneOpen: false,
    knownReservation: undefined,
    knownPrevious: undefined,
    account: { balance: 1000n, pendingWithdrawal: 0n, withdrawableAt: 0, ...unguarded },
    payerExposure: 0n,
    keyExposure: 0n,
    solverExposure: 0n,
    unpaidSeconds: 0,
    caps: {},
    chainGrant: undefined,
    isGrantSigned: false,
    ...change.facts,
  }
}
const broken = (change: Change) => checkOrder(factsWith(change)).map(({ rule, code }) => `${rule}: ${code}`)
const bySession = { key: session.address }
const chainGrant: ChainGrant = {
  isKnown: true,
  nonce: 1n,
  perJob: 500n,
  perDay: 1000n,
  remaining: 2000n,
  spentToday: 0n,
  validUntil: now + 1000,
}
const digest = sha256('something else')

describe('an order that the provider can run and be paid for breaks no rule', () => {
  test.each<[string, Change]>([
    ['signed by the payer', {}],
    [
      'just inside the caps',
      {
        facts: {
          caps: { maxPerPayer: 550n, maxPerSolver: 10_500n },
          payerExposure: 50n,
          solverExposure: 10_000n,
        },
      },
    ],
    ['least price', { order: { maxPrice: leastPrice } }],
    ['signed by a key with a grant of the payer', { order: bySession, hasGrant: true }],
    ['signed by a key whose grant is on chain', { order: bySession, facts: { chainGrant } }],
    [
      'grant signed by a payer that is a contract',
      { order: bySession, grantSigner: stranger, facts: { isGrantSigned: true } },
    ],
    [
      'whole balance',
      { facts: { account: { balance: 500n, pendingWithdrawal: 0n, withdrawableAt: 0, ...unguarded } } },
    ],
    [
      'money on its way out that cannot leave before it is due',
      {
        facts: {
          account: {
            balance: 500n,
            pendingWithdrawal: 500n,
            withdrawableAt: now + 120 + settleGraceSeconds + 1,
            ...unguarded,
          },
        },
      },
    ],
    ['payer guarded by the solver', guardedBy(solver)],
    ['payer that leaves its guardian later', guardedBy(solver, now + 121 + settleGraceSeconds)],
    ['last second to start', { order: { startBy: now } }],
    ['last second of the ask', { ask: { validUntil: now }, isAskOrdered: true }],
    ['longest life', { order: { deliverBy: now + maxOrderSeconds + 10 } }],
    [
      'reservation that follows another',
      { reservation: { sequence: 7, previous: digest }, facts: { knownPrevious: digest } },
    ],
    ['reservation by a clock a little ahead', { reservation: { reservedAt: now + clockSkewSeconds } }],
    [
      'a newer grant than the one on chain',
      { order: bySession, grant: { nonce: 2n }, facts: { chainGrant: { ...chainGrant, perJob: 1n, remaining: 0n } } },
    ],
  ])('%s', (_name, change) => {
    expect(broken(change)).toEqual([])
  })
})

describe('each rule is broken alone', () => {
  test.each<[string, Change]>([
    ['order-signature: SIGNATURE_INVALID', { orderSigner: stranger }],
    ['order-token: INVALID_REQUEST', { facts: { acceptedTokens: [otherToken] } }],
    ['order-solver: INVALID_REQUEST', { facts: { solver: stranger.address } }],
    ['ask-hash: DIGEST_MISMATCH', { ask: { pricePerJob: 1n } }],
    ['ask-signature: SIGNATURE_INVALID', { askSigner: stranger }],
    ['ask-terms: INVALID_REQUEST', { ask: { token: otherToken }, isAskOrdered: true }],
    ['ask-terms: INVALID_REQUEST', { ask: { moduleVersion: digest }, isAskOrdered: true }],
    ['ask-terms: INVALID_REQUEST', { ask: { solver: stranger.address }, isAskOrdered: true }],
    ['ask-terms: INVALID_REQUEST', { ask: { provider: stranger.address }, isAskOrdered: true }],
    ['ask-valid: QUOTE_EXPIRED', { ask: { validUntil: now - 1 }, isAskOrdered: true }],
    ['start-by: ORDER_EXPIRED', { order: { startBy: now - 1 } }],
    ['times-ordered: INVALID_REQUEST', { order: { startBy: now + 200 } }],
    ['order-life: INVALID_REQUEST', { order: { deliverBy: now + maxOrderSeconds + 11 } }],
    ['inputs-digest: DIGEST_MISMATCH', { order: { inputsDigest: digest } }],
    ['module-installed: MODULE_UNKNOWN', { facts: { manifest: undefined } }],
    [
      'inputs-schema: INPUTS_INVALID',
      {
        request: { inputs: { text: 'a very long frog' } },
        order: { inputsDigest: inputsDigest({ text: 'a very long frog' }) },
      },
    ],
    [
      'inputs-schema: INPUTS_INVALID',
      {
        request: { inputs: { text: 'frog', more: 1 } },
        order: { inputsDigest: inputsDigest({ text: 'frog', more: 1 }) },
      },
    ],
    ['max-price: PRICE_OVER_CAP', { order: { maxPrice: leastPrice - 1n } }],
    ['reservation-signature: SIGNATURE_INVALID', { reservationSigner: stranger }],
    ['reservation-order: INVALID_REQUEST', { reservation: { orderHash: digest } }],
    ['reservation-order: INVALID_REQUEST', { reservation: { payer: stranger.address } }],
    ['reservation-order: INVALID_REQUEST', { reservation: { token: otherToken } }],
    ['reservation-amount: INSUFFICIENT_BALANCE', { reservation: { amount: 499n } }],
    ['reservation-outstanding: INVALID_REQUEST', { reservation: { outstanding: 499n } }],
    ['reservation-time: INVALID_REQUEST', { reservation: { reservedAt: now + clockSkewSeconds + 1 } }],
    ['reservation-chain: INVALID_REQUEST', { reservation: { previous: digest } }],
    ['reservation-chain: INVALID_REQUEST', { reservation: { sequence: 2 } }],
    ['reservation-chain: INVALID_REQUEST', { reservation: { sequence: 0, previous: digest } }],
    ['reservation-unique: STATE_CONFLICT', { facts: { knownReservation: digest } }],
    [
      'reservation-unique: STATE_CONFLICT',
      { reservation: { sequence: 2, previous: sha256('one') }, facts: { knownPrevious: digest } },
    ],
    ['nonce: NONCE_USED', { facts: { isNonceTaken: true } }],
    ['lane-history: STATE_CONFLICT', { facts: { unknownLaneJobs: 3 } }],
    ['lane-open: STATE_CONFLICT', { facts: { isLaneOpen: true } }],
    [
      'balance: INSUFFICIENT_BALANCE',
      { facts: { account: { balance: 499n, pendingWithdrawal: 0n, withdrawableAt: 0, ...unguarded } } },
    ],
    ['balance: INSUFFICIENT_BALANCE', { facts: { payerExposure: 501n } }],
    [
      'balance: INSUFFICIENT_BALANCE',
      {
        facts: {
          account: {
            balance: 500n,
            pendingWithdrawal: 1n,
            withdrawableAt: now + 120 + settleGraceSeconds,
            ...unguarded,
          },
        },
      },
    ],
    ['payer-guardian: GUARDIAN_MISMATCH', guardedBy(stranger)],
    ['payer-guardian-stays: GUARDIAN_MISMATCH', guardedBy(solver, now + 120 + settleGraceSeconds)],
    ['grant-known: GRANT_INVALID', { order: bySession }],
    ['grant-known: GRANT_INVALID', { order: bySession, facts: { chainGrant: { ...chainGrant, isKnown: false } } }],
    ['grant-signature: GRANT_INVALID', { order: bySession, grantSigner: stranger }],
    ['grant-terms: GRANT_INVALID', { order: bySession, grant: { token: otherToken } }],
    ['grant-terms: GRANT_INVALID', { order: bySession, grant: { key: stranger.address } }],
    ['grant-roots: GRANT_INVALID', { order: bySession, grant: { modulesRoot: digest } }],
    ['grant-valid: GRANT_INVALID', { order: bySession, grant: { validUntil: now - 1 } }],
    [
      'grant-valid: GRANT_INVALID',
      { order: bySession, hasGrant: true, facts: { chainGrant: { ...chainGrant, validUntil: now - 1 } } },
    ],
    ['grant-job-cap: OVER_JOB_LIMIT', { order: bySession, grant: { perJob: 499n } }],
    ['payer-cap: JOB_DECLINED', { facts: { caps: { maxPerPayer: 549n }, payerExposure: 50n } }],
    ['solver-cap: JOB_DECLINED', { facts: { caps: { maxPerSolver: 10_499n }, solverExposure: 10_000n } }],
    ['unpaid-cap: JOB_DECLINED', { facts: { caps: { maxUnpaidSeconds: 60 }, unpaidSeconds: 60 } }],
    ['grant-day-cap: OVER_DAY_LIMIT', { order: bySession, hasGrant: true, facts: { keyExposure: 501n } }],
    [
      'grant-day-cap: OVER_DAY_LIMIT',
      { order: bySession, hasGrant: true, facts: { chainGrant: { ...chainGrant, spentToday: 501n } } },
    ],
    ['grant-total-cap: OVER_TOTAL_LIMIT', { order: bySession, grant: { total: 499n } }],
    [
      'grant-total-cap: OVER_TOTAL_LIMIT',
      { order: bySession, hasGrant: true, facts: { chainGrant: { ...chainGrant, remaining: 499n } } },
    ],
  ])('%s', (expected, change) => {
    expect(broken(change)).toEqual([expected])
  })

  test('order-hash: the frame names another order', () => {
    const facts = factsWith()
    const violations = checkOrder({ ...facts, orderHash: digest })
    expect(violations.map(({ rule }) => rule)).toEqual(['order-hash', 'reservation-order'])
  })

  test('order-provider: an order for somebody else is not ours in any way', () => {
    expect(broken({ order: { provider: stranger.address } })).toEqual([
      'order-provider: INVALID_REQUEST',
      'ask-terms: INVALID_REQUEST',
    ])
  })

  test('deliver-by: over is over', () => {
    expect(broken({ order: { startBy: now - 2, deliverBy: now - 1 } })).toEqual([
      'start-by: ORDER_EXPIRED',
      'deliver-by: ORDER_EXPIRED',
    ])
  })
})

test('every reason is a sentence that fits a frame', () => {
  const text = 'x'.repeat(100_000)
  const violations = checkOrder(
    factsWith({
      request: { inputs: { [text.slice(0, 64)]: text, more: text } },
      order: { ...bySession, maxPrice: 2n ** 128n - 1n },
    }),
  )
  expect(violations.length).toBeGreaterThan(2)
  for (const { reason } of violations) expect(reason.length).toBeLessThanOrEqual(400)
})

test('inputs that cannot be hashed break rules, not the provider', () => {
  expect(broken({ request: { inputs: { text: '\ud800' } } })).toEqual([
    'inputs-digest: DIGEST_MISMATCH',
    'inputs-schema: INPUTS_INVALID',
  ])
})
