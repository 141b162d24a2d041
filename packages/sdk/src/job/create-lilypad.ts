import {
  type Address,
  appendRecord,
  askType,
  type Bytes32,
  concatBytes,
  createLinkAccess,
  deliveredBytesLimit,
  findRecipient,
  firstStepLane,
  type InputFile,
  inputsDigest,
  isFinal,
  isStepLane,
  isStreamedReply,
  type JobBundle,
  type JobEvent,
  type JobInputs,
  type JobOrder,
  jobMoves,
  jobPrice,
  type JobState,
  type JobView,
  keccak256,
  type Lane,
  laneId,
  LilypadError,
  listInputFiles,
  maxLinkSeconds,
  type ModuleList,
  type ModuleListing,
  moduleManifestDigest,
  moduleVersionId,
  jobManifestDigest,
  parseInputs,
  type Quote,
  receiptType,
  recipientInput,
  sha256,
  type SignedAttestation,
  type SignedGrant,
  StreamBrokenError,
  type Signer,
  toHex,
  unitBounds,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { assertChain, assertContracts } from '../chain/assert-chain.ts'
import { createChainClient, signingDomain, toLilypadChain } from '../chain/lilypad-chain.ts'
import type { Network } from '../chain/network.ts'
import { createSolverClient, SolverUnreachableError } from '../http/solver-client.ts'
import { getVersion } from '../registry/registry-reads.ts'
import type { ClientStore, StoredJob, StoredQuote, StoreTransaction } from '../store/client-store.ts'
import { getTokenBalance } from '../token/token-actions.ts'
import { getAccount } from '../vault/vault-reads.ts'
import { deriveOutputIdentity, openSealed, type OutputIdentity } from '../sealing/seal.ts'
import { type Check, toVerification, type Verification } from '../verify/check.ts'
import { findNamedAttestation } from '../verify/check-attestation.ts'
import { verifyBundle } from '../verify/verify-bundle.ts'
import { verifySettlement } from '../verify/verify-settlement.ts'
import { createKeyWallet, type KeyWallet, ReadOnlyError } from '../wallet/key-wallet.ts'
import { needsApproval, type StoredApproval } from '../wallet/approval.ts'
import { afterLook, afterOutcome, SpendingStoppedError } from '../wallet/circuit-breaker.ts'
import { createExternalPayments } from '../wallet/external-payments.ts'
import { budgetLeft, type SpendingPolicy, sumSpend } from '../wallet/spending-policy.ts'
import { JobStream, type StreamedPiece } from './job-stream.ts'
import { ReplyHistory } from './reply-history.ts'
import { isLaneFree, StepDesk } from './step-desk.ts'
import {
  JobFailedError,
  JobNotRunError,
  JobUnknownError,
  PriceOverCapError,
  QuoteExpiredError,
  QuoteUnknownError,
  StillRunningError,
  VerificationFailedError,
} from './job-errors.ts'

/** A file given as an input. */
export type GivenFile = { readonly bytes: Uint8Array; readonly mediaType: string; readonly name: string }

/** What is known of an order before it is signed. */
export type OrderCheck =
  | { readonly job: StoredJob }
  | {
      readonly job: undefined
      readonly offer: StoredQuote
      /** Whether a person still has to approve it. */
      readonly needsApproval: boolean
      readonly approval: StoredApproval | undefined
      /** What may still be spent before a limit, in base units. */
      readonly left: bigint
    }

export type LilypadOptions = {
  readonly network: Network
  readonly store: ClientStore
  /** Orders and acknowledgements are signed with it; without one the client only reads. */
  readonly signer?: Signer
  /** The payer's grant to the signer; without one the signer pays itself. */
  readonly grant?: SignedGrant
  /** @default nothing may be spent */
  readonly policy?: SpendingPolicy
  /** Name of this client in the ledger, whose spending `perSession` bounds. @default a random one */
  readonly session?: string
  readonly fetch?: typeof fetch
  readonly now?: () => Date
}

/** An output file by its path, with its bytes. */
export type Output = {
  readonly path: string
  readonly bytes: number
  readonly sha256: Bytes32
  /** The order asked for sealed outputs: size and digest are those of the sealed file. */
  readonly isSealed: boolean
  /** The content; opened where it is sealed to this client's key. */
  readonly read: () => Promise<Uint8Array>
  /** The file as it was delivered, whose digest was signed. */
  readonly readDelivered: () => Promise<Uint8Array>
}

/** A URL with which anybody can read an output until `validUntil`, in Unix seconds; sealed, only its requester can open what it gives. */
export type OutputLink = {
  readonly url: string
  readonly sha256: Bytes32
  readonly validUntil: number
  readonly isSealed: boolean
}

/** Whether a job may still go from one state to another, in any number of steps. */
function canComeTo(from: JobState, to: JobState): boolean {
  return jobMoves[from].some((next) => next === to || canComeTo(next, to))
}

/**
 * What the end of a job says about spending: money was held or paid and a result came, or none did. A job that was declined or cancelled, or
 * whose provider signed that it failed and costs nothing, says nothing.
 */
function outcomeOf(job: StoredJob): 'good' | 'bad' | undefined {
  const { verified, delivery, state, reservation, settlement, acknowledgement, reason } = job
  if (verified === false || (settlement && !acknowledgement)) return 'bad'
  if (delivery) {
    const { status, price } = delivery.receipt
    if (status === 0) return verified ? 'good' : undefined
    return price > 0n ? 'bad' : undefined
  }
  const hasLapsed = (state === 'expired' || state === 'failed') && reservation !== null
  return hasLapsed && reason?.code !== 'CANCELLED' ? 'bad' : undefined
}

const noSpending: SpendingPolicy = { perJob: 0n, perDay: 0n, total: 0n }
const longPollSeconds = 20
/** Two clocks differ a little in their speed, and in whole seconds one of them may have just begun. */
const clockSlackSeconds = 2
/** An order counts against the limits until its delivery time: no solver may hold a budget longer than any job takes. */
const longestOrderSeconds = 2 * 86_400
/** How long a relay may take to send the rest of a stream whose job has ended, in milliseconds. */
const streamRestMilliseconds = 120_000
/** Lanes for streamed replies to one provider; more of them at once share the lane of the store, and are paid at their ends. */
const maxStepLanes = 2 ** 20
/** Attestations that a client keeps in memory. */
const maxAttestations = 64
/** How long a solver that restarts is waited for, in milliseconds. */
const longestAway = 30_000
/** How long a quote that was not ordered is kept after its end, in seconds, and how often that is looked at, in milliseconds. */
const unusedQuoteSeconds = 3600
const forgetEveryMilliseconds = 10 * 60 * 1000
/** Versions of modules that a client remembers, and how long it believes that one is not deprecated, in milliseconds. */
const maxVersions = 200
const versionMilliseconds = 30_000
/** Readers of streams that are remembered until their job is verified. */
const maxStreams = 1000
/** Longest reply of a model that is kept as it is streamed; a longer one is fetched when it is whole. */
const maxReplyBytes = 1024 ** 2
const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds))

/** The lane that an order is paid on. */
function laneOf({ payer, key, provider, solver, token, lane }: JobOrder): Lane {
  return { payer, key, provider, solver, token, lane }
}

/** A job with what the relay says of it. What the relay says never takes back what was accepted here. */
function withView(job: StoredJob, view: JobView): StoredJob {
  const delivery = job.verified === true ? job.delivery : (view.delivery ?? job.delivery)
  // Nobody but this store signs the acknowledgement, so without one there is nothing to settle.
  const isClaimed = !job.acknowledgement && (view.state === 'acknowledged' || view.state === 'settled')
  const told = !isClaimed ? view.state : delivery ? 'delivered' : job.state
  return {
    ...job,
    // Answers overtake each other: one that was on its way when the next came tells an older state.
    state: canComeTo(told, job.state) ? job.state : told,
    reservation: view.reservation ?? job.reservation,
    delivery,
    settlement: view.settlement ?? job.settlement,
    reason: view.reason ?? job.reason,
  }
}

/**
 * The whole client: discover, quote, order, watch, fetch, verify, acknowledge. It needs a solver and an RPC endpoint and
 * nothing else of ours. Everything it must not forget is in the store before it leaves the process, so a crash at any
 * step is finished by {@link Lilypad.resume}.
 */
export function createLilypad(options: LilypadOptions) {
  const { network, store, signer, grant = null, policy = noSpending, now = () => new Date() } = options
  const chain = toLilypadChain(network)
  const domain = signingDomain(chain)
  const client = createChainClient({ chain })
  const solver = createSolverClient({
    url: network.solverUrl,
    domain,
    ...(options.fetch ? { fetch: options.fetch } : {}),
  })
  const token = network.contracts.lilyToken
  const wallet: KeyWallet | undefined = signer ? createKeyWallet({ signer, domain, grant, policy }) : undefined
  const nowSeconds = () => Math.floor(now().getTime() / 1000)
  const { acknowledgeSteps = false } = policy
  const steps =
    wallet && acknowledgeSteps
      ? new StepDesk({ domain, store, solver, nowSeconds, signVoucher: wallet.signVoucher })
      : undefined
  let forgotAt = performance.now()
  const session = options.session ?? crypto.randomUUID()

  let isNetworkRight = false
  /** Nothing is signed for a chain or a contract that is not the one of the network file. */
  async function assertNetworkOnce(): Promise<void> {
    if (isNetworkRight) return
    await Promise.all([assertChain(client), assertContracts(client, network)])
    isNetworkRight = true
  }

  const requireWallet = (): KeyWallet => {
    if (!wallet) throw new ReadOnlyError()
    return wallet
  }

  async function getStoredJob(orderHash: Bytes32): Promise<StoredJob> {
    const job = await store.transaction((transaction) => transaction.findJob(orderHash))
    if (!job) throw new JobUnknownError(orderHash)
    return job
  }

  /** Changes what is kept of a job. All of it can be had again: orders and vouchers are written elsewhere. */
  async function updateJob(orderHash: Bytes32, change: (job: StoredJob) => StoredJob): Promise<StoredJob> {
    return store.transaction(
      (transaction) => {
        const job = transaction.findJob(orderHash)
        if (!job) throw new JobUnknownError(orderHash)
        const changed = change(job)
        transaction.putJob(changed)
        const at = nowSeconds()
        if (isLaneFree(changed, at) && !isLaneFree(job, at)) {
          const { lane, ...parties } = laneOf(changed.order)
          transaction.putFreeLane(laneId({ ...parties, lane: 0 }), lane)
        }
        const outcome = outcomeOf(changed)
        if (outcome && !outcomeOf(job))
          transaction.putBreaker(afterOutcome(transaction.findBreaker(), outcome, policy, nowSeconds()))
        return changed
      },
      { isRepeatable: true },
    )
  }

  const applyView = (orderHash: Bytes32, view: JobView): Promise<StoredJob> => {
    if (view.state === 'declined' || view.state === 'expired') forgetQuotesOf(view.order.provider)
    return updateJob(orderHash, (job) => withView(job, view))
  }

  /** Whoever asks again is not to be sent to the same provider. */
  function forgetQuotesOf(provider: Address): void {
    for (const [key, { quote }] of recentQuotes) if (quote.ask.ask.provider === provider) recentQuotes.delete(key)
  }

  /** Sends the order (again) and the input files the relay lacks. */
  async function sendOrder(job: StoredJob): Promise<StoredJob> {
    const { orderHash, order, signature, grant: orderGrant, ask, inputs } = job
    const { accessSigner } = requireWallet()
    let view: JobView
    try {
      view = await solver.postOrder({ order, signature, grant: orderGrant, ask, inputs })
    } catch (error) {
      forgetQuotesOf(order.provider)
      // No solver takes it any more, so it will never run: without this it would count against the limits for ever.
      if (LilypadError.is(error) && error.code === 'ORDER_EXPIRED' && order.startBy < nowSeconds())
        await updateJob(orderHash, (current) =>
          current.reservation
            ? current
            : { ...current, state: 'expired', reason: { code: error.code, message: error.shortMessage.slice(0, 400) } },
        )
      throw error
    }
    const own = new Set(listInputFiles(inputs).map(({ file }) => file.sha256))
    for (const digest of view.missingInputs.filter((missing) => own.has(missing))) {
      const bytes = await store.findBlob(digest)
      if (!bytes) throw new LilypadError('INTERNAL', 'An input file of the job is no longer in the store.')
      await solver.putInput(orderHash, digest, bytes, accessSigner)
    }
    if (view.missingInputs.length > 0) view = await solver.getJob(orderHash, accessSigner)
    return applyView(orderHash, view)
  }

  async function refresh(job: StoredJob, waitSeconds: number): Promise<StoredJob> {
    const { accessSigner } = requireWallet()
    try {
      const view = await solver.getJob(job.orderHash, accessSigner, waitSeconds)
      if (view.missingInputs.length > 0) return sendOrder(job)
      return await applyView(job.orderHash, view)
    } catch (error) {
      // The order never reached the relay: the process ended between signing and sending.
      if (LilypadError.is(error) && error.code === 'JOB_UNKNOWN') return sendOrder(job)
      throw error
    }
  }

  /** Gets a price: checked, kept, and usable once. */
  async function quote(request: {
    readonly module: string
    readonly inputs: { readonly [name: string]: unknown }
    readonly files?: { readonly [input: string]: GivenFile }
    /** Most the job may cost, in base units. */
    readonly maxPrice?: bigint
    readonly provider?: Address
    /** Only one of these. */
    readonly only?: readonly Address[]
    readonly ignore?: readonly Address[]
    /** Wanted before cheaper ones, the first most. */
    readonly prefer?: readonly Address[]
    /** The outputs are sealed to this client's key: relay and strangers see paths and sizes, nothing of the content or of logs. @default false */
    readonly seal?: boolean
    /**
     * The provider that the solver chose for this module up to so many seconds ago will do: most prices are then worked out here from its
     * signed ask, and the solver is asked again beside that. @default 0
     */
    readonly maxAgeSeconds?: number
  }): Promise<StoredQuote> {
    const { maxPrice, provider, only, ignore, prefer, files = {}, seal = false, maxAgeSeconds = 0 } = request
    const listing = await findVersionListing(request.module)
    const given: Record<string, unknown> = { ...request.inputs }
    if (seal) {
      if (!signer) throw new ReadOnlyError()
      given[recipientInput] = (await deriveOutputIdentity(signer)).recipient
    }
    for (const [input, { bytes, mediaType, name }] of Object.entries(files)) {
      const file: InputFile = { sha256: sha256(bytes), bytes: bytes.length, mediaType, name: name.slice(0, 255) }
      given[input] = { $file: file }
    }
    const inputs: JobInputs = parseInputs(listing.manifest.inputs, given)
    await assertNetworkOnce()
    await forgetOldQuotes()
    for (const { bytes } of Object.values(files)) await store.putBlob(sha256(bytes), bytes)
    const ask = { listing, inputs, maxPrice, provider, only, ignore, prefer }
    return keepQuote(findRecentQuote(ask, maxAgeSeconds) ?? (await requestQuote(ask)), ask)
  }

  /**
   * Takes a quote that was asked for elsewhere, such as by a gateway, with the inputs it is for: checked, kept, and usable once.
   * @throws what {@link quote} throws
   */
  async function acceptQuote(given: {
    readonly quote: Quote
    readonly inputs: JobInputs
    readonly maxPrice?: bigint
  }): Promise<StoredQuote> {
    const { quote: answer, maxPrice } = given
    const listing = await findVersionListing(answer.moduleVersion)
    const inputs = parseInputs(listing.manifest.inputs, given.inputs)
    await assertNetworkOnce()
    await forgetOldQuotes()
    assertQuoteFits(answer, listing, inputs, {})
    return keepQuote(answer, { listing, inputs, maxPrice, provider: undefined })
  }

  async function keepQuote(answer: Quote, { listing, inputs, maxPrice }: QuoteAsk): Promise<StoredQuote> {
    if (maxPrice !== undefined && answer.maxPrice > maxPrice)
      throw new PriceOverCapError({ cap: maxPrice, price: answer.maxPrice })
    const version = await readVersion(listing.moduleVersion)
    if (version.manifestDigest !== listing.manifestDigest)
      throw new LilypadError('VERIFICATION_FAILED', 'The registry has another manifest for this module version.')
    if (version.isDeprecated)
      throw new LilypadError('MODULE_DEPRECATED', 'The author has deprecated this version of the module.', {
        hint: 'use a newer version',
      })
    const publisher = version.author.toLowerCase() as Address
    const stored: StoredQuote = { quote: answer, module: listing.manifest, inputs, publisher }
    await store.transaction(
      (transaction) => {
        // The first quote of an id is the one that is ordered: what is shown under it must not be another.
        if (transaction.findQuote(answer.quoteId))
          throw new LilypadError('VERIFICATION_FAILED', 'The solver gave two quotes the same id.')
        transaction.putQuote(stored)
        // A quote that is lost is asked for again.
      },
      { isRepeatable: true },
    )
    return stored
  }

  type QuoteAsk = {
    readonly listing: Pick<ModuleListing, 'name' | 'moduleVersion' | 'manifestDigest' | 'manifest'>
    readonly inputs: JobInputs
    readonly maxPrice: bigint | undefined
    readonly provider: Address | undefined
    readonly only?: readonly Address[] | undefined
    readonly ignore?: readonly Address[] | undefined
    readonly prefer?: readonly Address[] | undefined
  }
  const quoteKey = ({ listing, provider, only, ignore, prefer }: QuoteAsk) =>
    JSON.stringify([listing.moduleVersion, provider, only, ignore, prefer])

  /** The newest quote of each module, and of each provider that was asked for by name. */
  const recentQuotes = new Map<string, { readonly at: number; readonly quote: Quote }>()
  const refreshing = new Set<string>()

  async function requestQuote(ask: QuoteAsk): Promise<Quote> {
    const { listing, inputs, maxPrice, provider, only, ignore, prefer } = ask
    const quote = await solver.requestQuote({
      module: listing.moduleVersion,
      inputs,
      payer: wallet?.payer ?? network.contracts.jobVault,
      verification: 0,
      ...(maxPrice === undefined ? {} : { maxPrice }),
      ...(provider === undefined ? {} : { provider }),
      ...(only === undefined ? {} : { only: [...only] }),
      ...(ignore?.length ? { ignore: [...ignore] } : {}),
      ...(prefer?.length ? { prefer: [...prefer] } : {}),
    })
    assertQuoteFits(quote, listing, inputs, ask)
    keepRecent(recentQuotes, quoteKey(ask), { at: performance.now(), quote }, maxVersions)
    return quote
  }

  /** A quote for other inputs under the ask of a recent one, if the price may be paid. */
  function findRecentQuote(ask: QuoteAsk, maxAgeSeconds: number): Quote | undefined {
    const key = quoteKey(ask)
    const recent = recentQuotes.get(key)
    const age = (performance.now() - (recent?.at ?? Number.NEGATIVE_INFINITY)) / 1000
    if (!recent || age >= maxAgeSeconds || recent.quote.expiresAt <= nowSeconds() + maxAgeSeconds) return undefined
    if (age > maxAgeSeconds / 2 && !refreshing.has(key)) {
      refreshing.add(key)
      // Without it the next one is asked for when this one is too old.
      void requestQuote({ ...ask, maxPrice: undefined })
        .catch(() => recentQuotes.delete(key))
        .finally(() => refreshing.delete(key))
    }
    const { listing, inputs, maxPrice } = ask
    const { quote } = recent
    const bounds = unitBounds(listing.manifest, inputs)
    const priceOf = (meteredSeconds: number) => jobPrice(quote.ask.ask, { meteredSeconds, ...bounds })
    const most = priceOf(listing.manifest.limits.timeoutSeconds)
    if (maxPrice !== undefined && maxPrice < most) return undefined
    const usual = Math.min(Math.ceil(quote.expectedSeconds), listing.manifest.limits.timeoutSeconds)
    return {
      ...quote,
      quoteId: toHex(crypto.getRandomValues(new Uint8Array(32))),
      inputsDigest: inputsDigest(inputs),
      maxPrice: most,
      expectedPrice: priceOf(usual),
    }
  }

  /** What was checked of versions: their manifests never change. */
  const listings = new Map<Bytes32, Pick<ModuleListing, 'name' | 'moduleVersion' | 'manifestDigest' | 'manifest'>>()
  const versions = new Map<Bytes32, { readonly at: number; readonly version: ReturnType<typeof getVersion> }>()

  function keepRecent<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
    map.delete(key)
    map.set(key, value)
    const [oldest] = map.keys()
    if (map.size > most && oldest !== undefined) map.delete(oldest)
  }

  /** The manifest of a module; of a version whose id is given, as it was checked before. */
  async function findVersionListing(module: string) {
    const known = listings.get(module as Bytes32)
    if (known) return known
    const { name, moduleVersion, manifestDigest, manifest } = await getModule(module)
    const listing = { name, moduleVersion, manifestDigest, manifest }
    keepRecent(listings, moduleVersion, listing, maxVersions)
    return listing
  }

  /** What the registry on chain says of a version, at most half a minute old. */
  function readVersion(moduleVersion: Bytes32): ReturnType<typeof getVersion> {
    const known = versions.get(moduleVersion)
    if (known && performance.now() - known.at < versionMilliseconds) return known.version
    const version = getVersion(client, { moduleVersion })
    keepRecent(versions, moduleVersion, { at: performance.now(), version }, maxVersions)
    version.catch(() => {
      if (versions.get(moduleVersion)?.version === version) versions.delete(moduleVersion)
    })
    return version
  }

  /** Asking for prices is free, so what was only asked must not fill the disk of a server that lives long. */
  async function forgetOldQuotes(): Promise<void> {
    const before = performance.now() - forgetEveryMilliseconds
    if (forgotAt > before) return
    forgotAt = performance.now()
    await store.forgetQuotes(nowSeconds() - unusedQuoteSeconds)
  }

  async function getModule(module: string): Promise<ModuleListing> {
    const listing = await solver.getModule(module)
    const isAsked = listing.name === module || listing.moduleVersion === module.toLowerCase()
    if (!isAsked) throw new LilypadError('VERIFICATION_FAILED', 'The solver sent another module than was asked for.')
    assertGenuine(listing)
    return listing
  }

  function assertGenuine(listing: ModuleListing): void {
    const digest = moduleManifestDigest(listing.manifest)
    const isGenuine =
      digest === listing.manifestDigest &&
      moduleVersionId(listing.name, digest) === listing.moduleVersion &&
      listing.manifest.name === listing.name
    if (!isGenuine)
      throw new LilypadError(
        'VERIFICATION_FAILED',
        'The solver sent a manifest that is not the one of this module version.',
      )
  }

  function assertQuoteFits(
    answer: Quote,
    listing: Pick<ModuleListing, 'name' | 'moduleVersion' | 'manifestDigest'>,
    inputs: JobInputs,
    named: {
      readonly provider?: Address | undefined
      readonly only?: readonly Address[] | undefined
      readonly ignore?: readonly Address[] | undefined
    },
  ): void {
    const { ask, signature } = answer.ask
    const { provider, only, ignore } = named
    const fits =
      answer.module === listing.name &&
      answer.moduleVersion === listing.moduleVersion &&
      (provider === undefined || ask.provider === provider) &&
      (only?.includes(ask.provider) ?? true) &&
      !ignore?.includes(ask.provider) &&
      answer.manifestDigest === listing.manifestDigest &&
      answer.inputsDigest === inputsDigest(inputs) &&
      ask.moduleVersion === listing.moduleVersion &&
      ask.token === token &&
      ask.validUntil >= answer.expiresAt &&
      answer.deliverBy <= nowSeconds() + longestOrderSeconds &&
      askType.findSigner(domain, ask, signature) === ask.provider
    if (!fits)
      throw new LilypadError(
        'VERIFICATION_FAILED',
        'The quote does not fit the request or its ask is not signed by the provider.',
        { hint: 'use another solver' },
      )
  }

  /** Reads what the policy needs to know, and remembers when it has to stop the spending. */
  function readFacts(transaction: StoreTransaction, id: Bytes32, at: number) {
    const ledger = transaction.listLedger()
    const known = transaction.findBreaker()
    const breaker = afterLook(known, ledger, policy, at)
    if (breaker !== known) transaction.putBreaker(breaker)
    return { id, ledger, breaker, approval: transaction.findApproval(id), nowSeconds: at }
  }

  function getOffer(transaction: StoreTransaction, quoteId: Bytes32, at: number): StoredQuote {
    const stored = transaction.findQuote(quoteId)
    if (!stored) throw new QuoteUnknownError(quoteId)
    const { expiresAt } = stored.quote
    if (expiresAt <= at) throw new QuoteExpiredError({ expiredAt: expiresAt, now: at })
    return stored
  }

  /**
   * Tells whether an order for this quote would be signed now, without signing. Ordering decides again.
   * @returns whether a person still has to approve it, and what they said so far
   * @throws what {@link order} throws before it signs, but for the approval
   */
  async function checkOrder(quoteId: Bytes32): Promise<OrderCheck> {
    const { assertMaySpend } = requireWallet()
    const checked = await store.transaction((transaction) => {
      const job = transaction.findJobByQuote(quoteId)
      const at = nowSeconds()
      if (job) return { job }
      const offer = getOffer(transaction, quoteId, at)
      const facts = readFacts(transaction, quoteId, at)
      return { job: undefined, offer, facts }
    })
    if (checked.job) return { job: checked.job }
    const { offer, facts } = checked
    const { maxPrice } = offer.quote
    const spending = { kind: 'job', maxPrice, module: offer.module.name, publisher: offer.publisher, session } as const
    const left = budgetLeft(policy, sumSpend(facts.ledger, facts.nowSeconds, session))
    try {
      assertMaySpend(spending, facts)
      return { job: undefined, offer, needsApproval: false, approval: facts.approval, left }
    } catch (error) {
      const isAboutApproval = LilypadError.is(error) && error.code.startsWith('APPROVAL_')
      if (!isAboutApproval || !needsApproval(policy, maxPrice)) throw error
      return { job: undefined, offer, needsApproval: true, approval: facts.approval, left }
    }
  }

  /** The lane of an order: one that no other open job has where it can be paid in steps, else the one of the store. */
  function chooseLane(transaction: StoreTransaction, parties: Omit<Lane, 'lane'>, hasSteps: boolean): number {
    const own = transaction.laneNumber()
    if (!hasSteps) return own
    const name = laneId({ ...parties, lane: 0 })
    const free = transaction.takeFreeLane(name)
    if (free !== undefined) return free
    const index = transaction.next(`step lanes of ${name}`)
    return index < maxStepLanes ? firstStepLane * (index + 1) + own : own
  }

  /** Signs and places the order of a quote. The same quote again is the same job. */
  async function order(quoteId: Bytes32): Promise<StoredJob> {
    const { payer, key, signOrder } = requireWallet()
    if (!isNetworkRight) {
      const known = await store.transaction((transaction) => transaction.findJobByQuote(quoteId))
      if (!known) await assertNetworkOnce()
    }
    const placing = await store.transaction(
      (transaction) => {
        const known = transaction.findJobByQuote(quoteId)
        if (known) return { job: known }
        const at = nowSeconds()
        const { quote: offer, module, inputs, publisher } = getOffer(transaction, quoteId, at)
        const facts = readFacts(transaction, quoteId, at)
        // Returned and thrown outside: a throw would undo that the breaker is open.
        if (facts.breaker.stopped) return { breaker: facts.breaker }
        const { ask } = offer.ask
        const auditSecret = toHex(crypto.getRandomValues(new Uint8Array(32)))
        const parties = { payer, key, provider: ask.provider, solver: ask.solver, token: ask.token }
        const hasSteps = acknowledgeSteps && isStreamedReply(module, inputs) && findRecipient(inputs) === undefined
        const lane = { ...parties, lane: chooseLane(transaction, parties, hasSteps) }
        const unsigned = {
          ...lane,
          moduleVersion: offer.moduleVersion,
          inputsDigest: offer.inputsDigest,
          askHash: askType.hash(domain, ask),
          maxPrice: offer.maxPrice,
          nonce: transaction.next(`nonce of ${laneId(lane)}`),
          startBy: offer.startBy,
          deliverBy: offer.deliverBy,
          verification: 0,
          auditCommit: keccak256(auditSecret),
        }
        const { orderHash, signature } = signOrder({
          order: unsigned,
          module: module.name,
          publisher,
          session,
          ...facts,
        })
        if (facts.approval?.state === 'approved') transaction.putApproval({ ...facts.approval, state: 'used' })
        const placed: StoredJob = {
          orderHash,
          quoteId,
          order: unsigned,
          signature,
          grant,
          ask: offer.ask,
          module,
          inputs,
          auditSecret,
          state: 'ordered',
          reservation: null,
          delivery: null,
          verified: null,
          price: null,
          acknowledgement: null,
          acknowledgementSent: false,
          settlement: null,
          reason: null,
          orderedAt: at,
          session,
        }
        transaction.putJob(placed)
        return { job: placed }
      },
      { isRepeatable: true },
    )
    // It outlives the process now, and a loss of power before anybody is told of it: the disk and the solver work at the same time.
    const kept = store.flush()
    if ('breaker' in placing) {
      await kept
      throw new SpendingStoppedError(placing.breaker)
    }
    const { job } = placing
    const [sent] = await Promise.all([job.reservation || isFinal(job.state) ? job : sendOrder(job), kept])
    return sent
  }

  /**
   * Reads a job's newest state, waiting up to `waitSeconds` for it to end; a solver that is away is asked again for half a minute.
   * @throws SolverUnreachableError when it is still away; {@link getStoredJob} tells what the store knows
   */
  async function getJob(
    orderHash: Bytes32,
    wait: { readonly waitSeconds?: number; readonly signal?: AbortSignal } = {},
  ): Promise<StoredJob> {
    const { waitSeconds = 0, signal } = wait
    const until = Date.now() + waitSeconds * 1000
    let job = await getStoredJob(orderHash)
    let awaySince: number | undefined
    for (;;) {
      if (isFinal(job.state)) return job
      const left = Math.max(0, Math.ceil((until - Date.now()) / 1000))
      try {
        job = await refresh(job, Math.min(left, longPollSeconds))
      } catch (error) {
        const isAway = LilypadError.is(error) && error.code === 'SOLVER_UNREACHABLE'
        awaySince ??= Date.now()
        if (!isAway || left === 0 || signal?.aborted || Date.now() - awaySince > longestAway) throw error
        await pause(500)
        continue
      }
      awaySince = undefined
      const hasEnded = isFinal(job.state) || job.state === 'delivered' || job.state === 'acknowledged'
      if (hasEnded || Date.now() >= until || signal?.aborted) return job
    }
  }

  /**
   * Cancels a job. Nothing is charged when it ends before it is delivered: one that its provider has not taken ends at once, of one that runs the provider is asked to stop, which shows in the state soon after. A model's reply whose beginning was streamed ends where it stands and is paid as far as it came; where its server does not say what it has used, it goes on to its end.
   * @throws LilypadError `STATE_CONFLICT` when it is delivered already, `PROVIDER_GONE` when nobody can be asked to stop
   */
  async function cancel(orderHash: Bytes32): Promise<StoredJob> {
    const { accessSigner } = requireWallet()
    const job = await getStoredJob(orderHash)
    if (isFinal(job.state)) return job
    try {
      return await applyView(orderHash, await solver.cancelJob(orderHash, accessSigner))
    } catch (error) {
      if (!LilypadError.is(error) || error.code !== 'JOB_UNKNOWN') throw error
    }
    // The order has not arrived, but another process may be sending it: only where it is known can it be cancelled for good.
    const { order: placed, signature, grant: orderGrant, ask, inputs } = job
    await solver.postOrder({ order: placed, signature, grant: orderGrant, ask, inputs })
    return applyView(orderHash, await solver.cancelJob(orderHash, accessSigner))
  }

  /** Outputs on their way to the disk. The relay has them, so nobody waits for that. */
  const arriving = new Map<Bytes32, { readonly bytes: Uint8Array; readonly written: Promise<void> }>()

  function keepOutput(digest: Bytes32, bytes: Uint8Array): void {
    if (arriving.has(digest)) return
    const written = store
      .putBlob(digest, bytes)
      .catch(() => {})
      .finally(() => arriving.delete(digest))
    arriving.set(digest, { bytes, written })
  }

  const findBlob = async (digest: Bytes32): Promise<Uint8Array | undefined> =>
    arriving.get(digest)?.bytes ?? store.findBlob(digest)

  async function fetchOutputs(job: StoredJob): Promise<readonly Output[]> {
    const { delivery, orderHash, module, inputs } = job
    if (!delivery) return []
    const { outputs } = delivery.manifest.predicate
    const limit = deliveredBytesLimit(module.limits, inputs)
    const total = outputs.reduce((sum, output) => sum + output.bytes, 0)
    if (total > limit || outputs.length > module.limits.outputFiles) {
      throw new LilypadError('PAYLOAD_TOO_LARGE', 'The provider delivered more than the module may produce.', {
        details: [`Limit: ${limit} bytes   Delivered: ${total}`],
      })
    }
    for (const digest of new Set(outputs.map((output) => output.sha256))) {
      if (await findBlob(digest)) continue
      const bytes = outputs.find((output) => output.sha256 === digest)?.bytes
      keepOutput(digest, await solver.getOutput(orderHash, digest, requireWallet().accessSigner, bytes))
    }
    const opener = await findOpener(inputs)
    return outputs.map((output) => {
      const readDelivered = async () => {
        const bytes = await findBlob(output.sha256)
        if (!bytes) throw new LilypadError('OUTPUT_UNAVAILABLE', 'The output is no longer in the store.')
        return bytes
      }
      const isSealed = findRecipient(inputs) !== undefined
      const read = opener ? async () => openSealed(opener.identity, await readDelivered()) : readDelivered
      return { ...output, isSealed, readDelivered, read }
    })
  }

  /** The key that opens the outputs of a job, if they are sealed to this client. */
  async function findOpener(inputs: JobInputs): Promise<OutputIdentity | undefined> {
    const recipient = findRecipient(inputs)
    if (recipient === undefined || !signer) return undefined
    const own = await deriveOutputIdentity(signer)
    return own.recipient === recipient ? own : undefined
  }

  function toBundle(job: StoredJob): JobBundle {
    const { reservation, delivery } = job
    if (!reservation || !delivery) throw new StillRunningError(job.orderHash, job.state)
    return {
      schema: 'lilypad/bundle@1',
      chainId: domain.chainId,
      jobVault: domain.vault,
      module: job.module,
      ask: job.ask,
      grant: job.grant,
      order: { order: job.order, signature: job.signature },
      inputs: job.inputs,
      reservation,
      delivery,
      acknowledgement: job.acknowledgement,
    }
  }

  /** Attestations that were fetched here, the newest last: a provider has one for all its jobs of a day. */
  const attestations = new Map<Bytes32, SignedAttestation>()

  /** The bundle of a job with the attestation that its manifest names, where the solver still has it. */
  async function collectBundle(job: StoredJob): Promise<JobBundle> {
    const bundle = toBundle(job)
    const digest = findNamedAttestation(bundle.delivery.manifest)
    if (digest === undefined) return bundle
    const attestation = attestations.get(digest) ?? (await solver.getAttestation(digest).catch(() => undefined))
    if (attestation === undefined) return bundle
    attestations.set(digest, attestation)
    const [oldest] = attestations.keys()
    if (attestations.size > maxAttestations && oldest !== undefined) attestations.delete(oldest)
    return { ...bundle, attestation }
  }

  /** Streams of jobs that were read here, from their first chunk on. */
  const streams = new Map<Bytes32, JobStream[]>()

  /** What is wrong with the streams that were read of a job: each of them has to be the one that its manifest commits to. */
  async function findStreamFault(job: StoredJob): Promise<string | undefined> {
    const { manifest, receipt } = job.delivery ?? {}
    if (!manifest) return undefined
    for (const stream of streams.get(job.orderHash) ?? []) {
      // Its reader may be slow, or have left: the chain is followed to the end apart from it.
      const fault = await stream
        .fork()
        .findFaultAtEnd(manifest, {
          hasOutputs: receipt?.status === 0,
          signal: AbortSignal.timeout(streamRestMilliseconds),
        })
        .catch((error: unknown) => {
          const isSilent = error instanceof Error && error.name === 'TimeoutError'
          throw isSilent ? new SolverUnreachableError(network.solverUrl, error) : error
        })
      if (fault !== undefined) return fault
    }
    return undefined
  }

  /**
   * Gives what a job says while it runs: bytes of stdout, stderr and replies, and files that are finished. Each piece is checked against
   * the ones before it, and at the end all of them against what the provider's receipt commits to; it goes on through lost connections.
   * @throws StreamBrokenError when the relay left out, doubled, moved or altered a chunk, or ended the stream too early
   * @throws {@link JobNotRunError} when the job ended without a receipt: nothing vouches for what came
   */
  async function* readStream(
    orderHash: Bytes32,
    watch: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<StreamedPiece> {
    const signer = requireWallet().accessSigner
    const { module, order: placed } = await getStoredJob(orderHash)
    const history =
      steps && isStepLane(placed.lane)
        ? new ReplyHistory((step, seen) => {
            // Nothing is lost by a voucher that could not be kept or sent: the next one holds it.
            steps.take(orderHash, step, seen).catch(() => {})
          })
        : undefined
    const stream = new JobStream({ solver, signer, orderHash, ...(history ? { history } : {}) })
    keepRecent(streams, orderHash, [...(streams.get(orderHash) ?? []), stream], maxStreams)
    const reply = { attempt: 0, bytes: 0, pieces: [] as Uint8Array[] }
    for await (const { chunk, piece } of stream.read(watch.signal)) {
      const { attempt, index } = chunk
      if (piece.channel === 'response') {
        if (attempt !== reply.attempt) Object.assign(reply, { attempt, bytes: 0, pieces: [] })
        reply.bytes += piece.bytes.length
        if (reply.bytes <= maxReplyBytes) reply.pieces.push(piece.bytes)
        else reply.pieces.length = 0
      }
      if (piece.channel !== 'file') {
        yield { attempt, index, ...piece }
        continue
      }
      const { file } = piece
      const read = async () => {
        if (file.bytes > module.limits.outputBytes)
          throw new LilypadError(
            'PAYLOAD_TOO_LARGE',
            'The provider announced a file that is longer than the module may produce.',
          )
        const known = await findBlob(file.sha256)
        if (known) return known
        const bytes = await solver.getOutput(orderHash, file.sha256, signer, file.bytes)
        await store.putBlob(file.sha256, bytes)
        return bytes
      }
      yield { attempt, index, channel: 'file', file, read }
    }
    const job = await getJob(orderHash)
    const { delivery } = job
    if (!delivery) {
      throw new JobNotRunError({
        code: job.state === 'declined' ? 'JOB_DECLINED' : 'JOB_EXPIRED',
        orderHash,
        reason: job.reason?.message ?? 'none',
      })
    }
    const { receipt, signature, manifest } = delivery
    const isSigned =
      receiptType.findSigner(domain, receipt, signature) === job.order.provider &&
      receipt.orderHash === orderHash &&
      receipt.manifestDigest === jobManifestDigest(manifest)
    if (!isSigned) throw new StreamBrokenError('it does not end in a receipt of the provider of the job')
    const fault = stream.findFault(manifest, { hasOutputs: receipt.status === 0 })
    if (fault !== undefined) throw new StreamBrokenError(fault)
    if (reply.pieces.length === 0) return
    // The reply of a model is its output, byte by byte: what came is not fetched again.
    const bytes = concatBytes(...reply.pieces)
    const digest = sha256(bytes)
    if (manifest.predicate.outputs.some((output) => output.sha256 === digest)) keepOutput(digest, bytes)
  }

  /**
   * Reads on in the stream of a job whose reader has left, so that its steps go on being acknowledged: its provider would make no more.
   * @returns ends it
   */
  function readOn({ orderHash, step, delivery }: StoredJob): () => void {
    const opened = streams.get(orderHash) ?? []
    const isLeft = steps !== undefined && delivery === null && (step !== undefined || opened.length > 0)
    const stop = new AbortController()
    if (isLeft && !opened.some(({ isOver }) => isOver)) void drain(orderHash, stop.signal).catch(() => {})
    return () => stop.abort()
  }

  async function drain(orderHash: Bytes32, signal: AbortSignal): Promise<void> {
    for await (const _ of readStream(orderHash, { signal }));
  }

  async function verifyOffline(job: StoredJob): Promise<Verification> {
    const { checks } = await verifyFiles(job)
    const opener = await findOpener(job.inputs)
    if (!opener) return toVerification(checks)
    // Only the requester can tell whether what was sealed to it opens.
    const opened: Check[] = []
    for (const { path, sha256: digest } of job.delivery?.manifest.predicate.outputs ?? []) {
      const sealed = await findBlob(digest)
      const ok = sealed !== undefined && (await openSealed(opener.identity, sealed).then(Boolean, () => false))
      const evidence = ok ? `it opens with the key ${opener.recipient}` : 'it does not open with the key of the order'
      opened.push({ name: `output ${path} is sealed`, ok, evidence })
    }
    return toVerification([...checks, ...opened])
  }

  /** What the provider's clock says nobody else can see; but no run lasts longer than the time since its order. */
  function checkSeconds(job: StoredJob): readonly Check[] {
    const billed = job.delivery?.receipt.meteredSeconds ?? 0
    const passed = Math.max(0, nowSeconds() - job.orderedAt)
    if (billed <= passed + clockSlackSeconds) return []
    return [{ name: 'price.seconds', ok: false, evidence: `${billed} s billed, ordered ${passed} s ago` }]
  }

  async function verifyFiles(job: StoredJob): Promise<Verification> {
    const { checks } = await verifyBundle(await collectBundle(job), {
      ...(streams.has(job.orderHash) ? { stream: { fault: await findStreamFault(job) } } : {}),
      findOutput: async (path) => {
        const file = job.delivery?.manifest.predicate.outputs.find((output) => output.path === path)
        const bytes = file && (await findBlob(file.sha256))
        return bytes && { bytes: bytes.length, sha256: sha256(bytes), read: () => bytes }
      },
    })
    return toVerification([...checks, ...checkSeconds(job)])
  }

  /** Checks a job: its files offline, and with `chain` also that it is registered and settled. */
  async function verify(orderHash: Bytes32, how: { readonly chain?: boolean } = {}): Promise<Verification> {
    const job = await getStoredJob(orderHash)
    await fetchOutputs(job)
    const offline = await verifyOffline(job)
    if (!how.chain) return offline
    const onChain = await verifySettlement(client, toBundle(job))
    return toVerification([...offline.checks, ...onChain.checks])
  }

  /** Signs the next voucher of the lane for a verified job, once, and keeps it before it leaves. */
  async function acknowledge(orderHash: Bytes32): Promise<StoredJob> {
    const signed = await signAcknowledgement(orderHash)
    return signed.acknowledgementSent ? signed : sendAcknowledgement(signed)
  }

  /** `checked` is what was verified just now; without it the job was verified before. */
  async function signAcknowledgement(
    orderHash: Bytes32,
    checked?: Pick<StoredJob, 'delivery' | 'reservation'>,
  ): Promise<StoredJob> {
    const { signVoucher } = requireWallet()
    return store.transaction((transaction) => {
      const known = transaction.findJob(orderHash)
      const job = known && checked && known.verified !== true ? { ...known, ...checked, verified: true } : known
      if (!job?.delivery || job.verified !== true) throw new JobUnknownError(orderHash)
      if (job.acknowledgement) return job
      const { order: placed, delivery } = job
      const { payer, key, provider, solver: via, token: paid, lane } = placed
      const id = laneId(placed)
      const before = transaction.findLane(id) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
      const price = delivery.receipt.price
      if (price > placed.maxPrice) throw new PriceOverCapError({ cap: placed.maxPrice, price })
      const after = {
        jobs: before.jobs + 1,
        cumulativeAmount: before.cumulativeAmount + price,
        recordsHash: appendRecord(before.recordsHash, {
          orderHash,
          receiptHash: receiptType.hash(domain, delivery.receipt),
          moduleVersion: placed.moduleVersion,
          price,
          nonce: placed.nonce,
        }),
      }
      const voucher = { payer, key, provider, solver: via, token: paid, lane, ...after }
      const acknowledged: StoredJob = { ...job, price, acknowledgement: { voucher, signature: signVoucher(voucher) } }
      transaction.putLane(id, after)
      transaction.putJob(acknowledged)
      if (known && !outcomeOf(known) && outcomeOf(acknowledged) === 'good')
        transaction.putBreaker(afterOutcome(transaction.findBreaker(), 'good', policy, nowSeconds()))
      return acknowledged
    })
  }

  async function sendAcknowledgement(job: StoredJob): Promise<StoredJob> {
    await sendLane(laneId(job.order))
    return getStoredJob(job.orderHash)
  }

  /** Lanes whose acknowledgements are on their way, with who comes next. */
  const sending = new Map<Bytes32, { readonly running: Promise<void>; next?: Promise<void> }>()

  /** Sends what the solver lacks of a lane. Whoever asks while that is done is served, with all others, by the next time. */
  function sendLane(lane: Bytes32): Promise<void> {
    const turn = sending.get(lane)
    if (turn) {
      turn.next ??= turn.running.catch(() => {}).then(() => startSending(lane))
      return turn.next
    }
    return startSending(lane)
  }

  function startSending(lane: Bytes32): Promise<void> {
    const running = sendUnsent(lane)
    const turn = { running }
    sending.set(lane, turn)
    void running
      .catch(() => {})
      .then(() => {
        if (sending.get(lane) === turn && !('next' in turn)) sending.delete(lane)
      })
    return running
  }

  async function sendUnsent(lane: Bytes32): Promise<void> {
    const { accessSigner } = requireWallet()
    const list = (which: { readonly isUnsent: boolean }) =>
      store.transaction((transaction) => transaction.listAcknowledged(lane, Number.MAX_SAFE_INTEGER, which))
    const send = async (jobs: readonly StoredJob[]) => {
      for (const { orderHash, acknowledgement } of jobs) {
        if (!acknowledgement) continue
        const view = await solver.acknowledge(orderHash, acknowledgement).catch(async (error: unknown) => {
          if (!LilypadError.is(error) || error.code !== 'STATE_CONFLICT') throw error
          const current = await solver.getJob(orderHash, accessSigner)
          // Its last step or a claim was paid before the voucher came, so nobody waits for it any more.
          if (current.settlement === null) throw error
          return current
        })
        await updateJob(orderHash, (current) => ({ ...withView(current, view), acknowledgementSent: true }))
      }
    }
    try {
      await send(await list({ isUnsent: true }))
    } catch (error) {
      // The relay lost some (or another process is between two of them): the whole lane again, in order.
      if (!LilypadError.is(error) || error.code !== 'ACKNOWLEDGEMENT_OUT_OF_ORDER') throw error
      await send(await list({ isUnsent: false }))
    }
  }

  /** Sends every acknowledgement that was signed and did not arrive. */
  async function sendAcknowledgements(): Promise<void> {
    const jobs = await store.transaction((transaction) => transaction.listUnsent())
    for (const lane of new Set(jobs.map(({ order }) => laneId(order)))) await sendLane(lane)
  }

  /**
   * Brings an ordered job to its end: waits, fetches the outputs, verifies them and acknowledges. `accept` looks at verified outputs before
   * they are paid for: what it throws is thrown here, and the delivery is kept as one that does not hold, so nothing acknowledges it later.
   * @throws {@link StillRunningError} after `timeoutSeconds`; call again
   * @throws {@link JobFailedError} {@link JobNotRunError} {@link VerificationFailedError} nothing is paid then
   */
  async function complete(
    orderHash: Bytes32,
    wait: {
      readonly timeoutSeconds?: number
      readonly signal?: AbortSignal
      readonly accept?: (outputs: readonly Output[]) => void | Promise<void>
      /**
       * What it waits for: that the solver has the acknowledgement, or that it is signed and kept. Then it is sent in the background, again with
       * the next of its lane, and by `sendAcknowledgements`. @default 'sent'
       */
      readonly acknowledgement?: 'sent' | 'signed'
    } = {},
  ): Promise<{ readonly job: StoredJob; readonly outputs: readonly Output[]; readonly verification: Verification }> {
    const { timeoutSeconds = 600, signal, accept, acknowledgement = 'sent' } = wait
    let job = await getStoredJob(orderHash)
    // What the relay has shown before is checked all the same; what did not hold may have been replaced since.
    const isShown = job.delivery !== null && job.state === 'delivered' && job.verified === null
    if (!isShown && (!job.delivery || job.verified !== true)) {
      const stopReading = readOn(job)
      job = await getJob(orderHash, { waitSeconds: timeoutSeconds, ...(signal ? { signal } : {}) }).finally(stopReading)
    }
    if (job.state === 'declined' || job.state === 'expired') {
      throw new JobNotRunError({
        code: job.state === 'declined' ? 'JOB_DECLINED' : 'JOB_EXPIRED',
        orderHash,
        reason: job.reason?.message ?? 'none',
      })
    }
    const { delivery } = job
    if (!delivery)
      throw job.state === 'failed'
        ? new JobNotRunError({ code: 'JOB_EXPIRED', orderHash, reason: job.reason?.message ?? 'none' })
        : new StillRunningError(orderHash, job.state)
    if (delivery.receipt.status !== 0) {
      const isSigned =
        receiptType.findSigner(domain, delivery.receipt, delivery.signature) === job.order.provider &&
        delivery.receipt.orderHash === orderHash
      // What was acknowledged on the way stays paid.
      const stepPrice = job.step?.step.step.price ?? 0n
      if (isSigned && delivery.receipt.price === 0n)
        await updateJob(orderHash, (current) =>
          current.verified === true ? current : { ...current, delivery, price: stepPrice, verified: true },
        )
      const { outcome } = delivery.manifest.predicate
      throw new JobFailedError({
        orderHash,
        outcome: outcome.kind === 'exited' ? `exited with code ${outcome.code}` : outcome.kind,
        reason: outcome.reason,
        // An integer in decimal, which the type cannot say of a bigint.
        charged: stepPrice > 0n ? (stepPrice.toString() as `${number}`) : 'none',
      })
    }
    const outputs = await fetchOutputs(job)
    const verification = await verifyOffline(job)
    const refuse = () =>
      updateJob(orderHash, (current) =>
        current.verified === true ? current : { ...current, delivery, verified: false },
      )
    if (!verification.ok) {
      await refuse()
      throw new VerificationFailedError(orderHash, verification)
    }
    // One that was verified before is paid, or is about to be by another process.
    if (accept && job.verified !== true) {
      try {
        await accept(outputs)
      } catch (error) {
        await refuse()
        throw error
      }
    }
    // What was checked is what is kept: the relay may have shown another delivery meanwhile.
    streams.delete(orderHash)
    const signed = await signAcknowledgement(orderHash, { delivery, reservation: job.reservation })
    if (signed.acknowledgementSent) return { job: signed, outputs, verification }
    if (acknowledgement === 'sent') return { job: await sendAcknowledgement(signed), outputs, verification }
    void sendLane(laneId(signed.order)).catch(() => {})
    return { job: signed, outputs, verification }
  }

  /** Waits until the record of an acknowledged job is on chain. */
  async function waitForSettlement(
    orderHash: Bytes32,
    wait: { readonly timeoutSeconds?: number } = {},
  ): Promise<StoredJob> {
    const until = Date.now() + (wait.timeoutSeconds ?? 60) * 1000
    let job = await getStoredJob(orderHash)
    while (job.state !== 'settled' && Date.now() < until)
      job = await refresh(job, Math.min(longPollSeconds, Math.ceil((until - Date.now()) / 1000)))
    return job
  }

  return {
    network,
    chain,
    domain,
    client,
    solver,
    payer: wallet?.payer,
    key: wallet?.key,
    policy: wallet?.policy,
    searchModules: (
      query: { readonly query?: string; readonly limit?: number; readonly cursor?: string } = {},
    ): Promise<ModuleList> => solver.listModules(query),
    getModule,
    session,
    quote,
    acceptQuote,
    checkOrder,
    order,
    /** Payments outside of orders, under the same policy and in the same ledger. */
    payments: createExternalPayments({ store, requireWallet, session, nowSeconds }),
    /** Checks now that the endpoint serves the chain and the contracts of the network file, as is done before the first signature. */
    assertNetwork: assertNetworkOnce,
    getJob,
    getStoredJob,
    cancel,
    complete,
    /** Orders a quote and brings the job to its end. */
    async run(quoteId: Bytes32, wait: { readonly timeoutSeconds?: number; readonly signal?: AbortSignal } = {}) {
      const placed = await order(quoteId)
      return complete(placed.orderHash, wait)
    },
    verify,
    acknowledge,
    sendAcknowledgements,
    waitForSettlement,
    async fetchOutputs(orderHash: Bytes32): Promise<readonly Output[]> {
      return fetchOutputs(await getStoredJob(orderHash))
    },
    /**
     * A URL with which anybody can read one output at the relay until a time, without an account: resumable, by any HTTP client.
     * @throws LilypadError OUTPUT_UNKNOWN when the job has no such output
     */
    async linkOutput(
      orderHash: Bytes32,
      link: { readonly path: string /** @default 3600 */; readonly seconds?: number },
    ): Promise<OutputLink> {
      const { delivery, inputs } = await getStoredJob(orderHash)
      const output = delivery?.manifest.predicate.outputs.find(({ path }) => path === link.path)
      if (!output)
        throw new LilypadError('OUTPUT_UNKNOWN', 'The job has no output of this path.', {
          details: [`Path: ${JSON.stringify(link.path.slice(0, 200))}`],
          hint: 'the delivery names the outputs',
        })
      const { sha256: digest } = output
      const validUntil = nowSeconds() + Math.min(link.seconds ?? 3600, maxLinkSeconds)
      const { accessSigner } = requireWallet()
      const access = createLinkAccess(domain, { orderHash, sha256: digest }, accessSigner, validUntil)
      const url = `${solver.url}/jobs/${orderHash}/outputs/${digest}?access=${access}`
      return { url, sha256: digest, validUntil, isSealed: findRecipient(inputs) !== undefined }
    },
    async exportBundle(orderHash: Bytes32): Promise<JobBundle> {
      return collectBundle(await getStoredJob(orderHash))
    },
    listJobs: (): Promise<readonly StoredJob[]> => store.transaction((transaction) => transaction.listJobs()),
    findQuote: (quoteId: Bytes32): Promise<StoredQuote | undefined> =>
      store.transaction((transaction) => transaction.findQuote(quoteId)),
    watchJob(orderHash: Bytes32, watch: Parameters<typeof solver.watchJob>[2] = {}): AsyncGenerator<JobEvent> {
      return solver.watchJob(orderHash, requireWallet().accessSigner, watch)
    },
    stream: readStream,
    /** Balances on chain, what was spent, and what may still be. */
    async getWallet() {
      const { payer, key } = requireWallet()
      const account = await getAccount(client, { payer, token })
      const { spent, breaker } = await store.transaction((transaction) => {
        const { ledger, breaker } = readFacts(transaction, zeroBytes32, nowSeconds())
        return { spent: sumSpend(ledger, nowSeconds(), session), breaker }
      })
      return {
        payer,
        key,
        chainId: network.chainId,
        token,
        tokenBalance: await getTokenBalance(client, { token, account: payer }),
        ...account,
        spent,
        left: budgetLeft(policy, spent),
        breaker,
        policy,
      }
    },
    /**
     * Finishes what a crash or a lost connection left open: sends orders again, acknowledges verified deliveries.
     * @returns the error of each job that could not be finished now
     */
    async resume(
      wait: { readonly timeoutSeconds?: number; readonly signal?: AbortSignal } = {},
    ): Promise<readonly { readonly orderHash: Bytes32; readonly error: unknown }[]> {
      if (!wallet) return []
      const jobs = await store.transaction((transaction) => transaction.listJobs())
      const open = jobs.filter(
        (job) => job.price === null && job.verified !== false && !['declined', 'expired', 'failed'].includes(job.state),
      )
      const unsent = jobs.filter((job) => job.acknowledgement && !job.acknowledgementSent)
      const failures: { orderHash: Bytes32; error: unknown }[] = []
      for (const { orderHash } of [...unsent, ...open].reverse()) {
        try {
          await complete(orderHash, {
            timeoutSeconds: wait.timeoutSeconds ?? 0,
            ...(wait.signal ? { signal: wait.signal } : {}),
          })
        } catch (error) {
          failures.push({ orderHash, error })
        }
      }
      return failures
    },
    /** Forgets files of jobs that were last written before a time, in Unix seconds, at least two days back: orders that live may need theirs. */
    forgetFiles: (before: number): Promise<number> =>
      store.forgetFiles(Math.min(before, nowSeconds() - longestOrderSeconds)),
    async close() {
      await Promise.all([...arriving.values()].map(({ written }) => written))
      await Promise.allSettled([...sending.values()].map(({ running, next }) => next ?? running))
      await store.close()
    },
  }
}

export type Lilypad = ReturnType<typeof createLilypad>
