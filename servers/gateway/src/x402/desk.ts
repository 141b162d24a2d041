import {
  type Address,
  type Bytes32,
  concatBytes,
  fromHex,
  keccak256,
  type Signer,
  toLilypadError,
} from '@lilypad-agents/protocol'
import {
  assertChain,
  type ChainClient,
  createChainClient,
  getTokenDecimals,
  type Network,
  signingDomain,
  type SolverClient,
  toLilypadChain,
  translateChainErrors,
} from '@lilypad-agents/sdk'
import {
  getTokenDomain,
  isAuthorizationUsed,
  type PaymentTerms,
  signAuthorization,
  toNetworkName,
  toSignerAccount,
} from '@lilypad-agents/sdk/x402'
import type { GatewayContext } from '../context.ts'
import { failureFacts } from '../log/logger.ts'
import { createOrderRelay, type OrderRelay } from '../orders/order-relay.ts'
import { createGasBudget, type GasBudget } from './gas-budget.ts'
import { collectInTurn } from './collect-in-turn.ts'
import {
  closePayment,
  creditPayment,
  decodeTransfer,
  listOpenPayments,
  noteChange,
  type SignedTransfer,
  voidPayment,
} from './payment-store.ts'
import type { X402Payment } from './payment-tables.ts'
import type { X402Config } from './settings.ts'

/** A token in which strangers pay. */
export type AcceptedToken = PaymentTerms & {
  /** Base units of it for base units of LILY, rounded up. */
  readonly toAmount: (lily: bigint) => bigint
}

/** Payments of strangers, and what they need of the chain. */
export type X402Desk = {
  readonly config: X402Config
  readonly payTo: Address
  readonly tokens: readonly AcceptedToken[]
  readonly client: ChainClient
  readonly gas: GasBudget
  /** Carries the orders of those who order by themselves. */
  readonly relay: OrderRelay
  /** Makes the transfer of a payment that was taken, and credits it. @returns whether it is credited; otherwise it never moved */
  collect(payment: X402Payment): Promise<boolean>
  /** Sends back what the request of a payment did not cost, once that is known. */
  close(id: Bytes32): Promise<void>
  /** Goes on with what is open: payments that nobody waits for any more, change that was not sent. */
  sweep(): Promise<void>
}

const wad = 10n ** 18n
// The token reads times with bit 47 as block numbers; this is far beyond any second that matters.
const farAway = 1n << 39n
/** How long a payment without a request is waited for: its sender repeats it where the answer was lost. */
const idleSeconds = 120
/** How long a payment is left to the process that took it. */
const leaseSeconds = 20
const clockSlackSeconds = 60

type DeskContext = Pick<GatewayContext, 'database' | 'log' | 'clock'> & {
  readonly rules: Pick<GatewayContext['rules'], 'usdPerLilyWad'>
}

/** @throws LilypadError when a token cannot be paid by signed transfers */
export async function openX402Desk(
  context: DeskContext,
  options: {
    readonly network: Network
    readonly signer: Signer
    readonly config: X402Config
    readonly solver: SolverClient
  },
): Promise<X402Desk> {
  const { network, signer, config, solver } = options
  const client = createChainClient({ chain: toLilypadChain(network), account: toSignerAccount(signer) })
  await assertChain(client)
  const { database, log, rules } = context
  const payTo = signer.address
  const lily = network.contracts.lilyToken
  const name = toNetworkName(network.chainId)
  const now = () => Math.floor(context.clock().getTime() / 1000)
  const gas = createGasBudget(client, config)

  const tokens = await Promise.all(
    [lily, ...config.dollarTokens].map(async (asset): Promise<AcceptedToken> => {
      const domain = await getTokenDomain(client, asset)
      if (asset === lily) return { network: name, asset, domain, toAmount: (amount) => amount }
      const unit = 10n ** BigInt(await getTokenDecimals(client, asset))
      const divisor = wad * wad
      return {
        ...{ network: name, asset, domain },
        toAmount: (amount) => (amount * rules.usdPerLilyWad * unit + divisor - 1n) / divisor,
      }
    }),
  )

  function signChange({ id, asset, payer }: X402Payment, value: bigint): SignedTransfer {
    const token = tokens.find((accepted) => accepted.asset === asset)
    if (!token) throw new TypeError('change is signed in accepted tokens only')
    const authorization = {
      from: payTo,
      to: payer,
      value,
      validAfter: 0n,
      validBefore: farAway,
      // The token takes a nonce once, so the change of a payment goes back once, whoever sends it and however often.
      nonce: keccak256(concatBytes(fromHex(id), fromHex(keccak256('change')))),
    }
    return { authorization, signature: signAuthorization(signer, token.domain, authorization) }
  }

  const blockNumber = async () =>
    Number(await translateChainErrors('eth_blockNumber', () => client.getBlockNumber({ cacheTime: 0 })))

  async function sendChange(payment: X402Payment): Promise<void> {
    const { id, asset, cap, fee, value, change, changeTransfer, changeFromBlock } = payment
    if (change === null || changeTransfer === null || changeFromBlock === null) return
    const worth = (change * (cap + fee)) / value
    if (worth < config.minTransfer) return noteChange(database, { id, transaction: null, now: now() })
    const transfer = decodeTransfer(changeTransfer)
    const made = await gas.spend(() =>
      collectInTurn(client, { token: asset, ...transfer, fromBlock: BigInt(changeFromBlock) }),
    )
    await noteChange(database, { id, transaction: made?.transaction ?? null, now: now() })
    log.info({ payment: id, change: change.toString(), transaction: made?.transaction }, 'x402.change')
  }

  async function collect(payment: X402Payment): Promise<boolean> {
    const { id, asset, transfer, fromBlock } = payment
    const signed = decodeTransfer(transfer)
    const isUsed = await isAuthorizationUsed(client, { token: asset, ...signed.authorization })
    // A block later than this no longer takes it.
    if (!isUsed && BigInt(now() - clockSlackSeconds) > signed.authorization.validBefore) {
      await voidPayment(database, id, now())
      return false
    }
    const send = () => collectInTurn(client, { token: asset, ...signed, fromBlock: BigInt(fromBlock) })
    const made = isUsed ? await send() : await gas.spend(send)
    if (!made) {
      await voidPayment(database, id, now())
      return false
    }
    await creditPayment(database, { id, transaction: made.transaction, now: now() })
    log.info({ payment: id, payer: payment.payer, value: payment.value.toString(), asset }, 'x402.settled')
    return true
  }

  async function close(id: Bytes32, fromBlock?: number): Promise<void> {
    const closed = await closePayment(database, {
      ...{ id, idleSince: now() - idleSeconds, now: now(), sign: signChange },
      toChange: ({ value, cap, fee }, unspent) => (value * unspent) / (cap + fee),
      fromBlock: fromBlock ?? (await blockNumber()),
    })
    if (closed?.state === 'returning') await sendChange(closed)
  }

  return {
    ...{ config, payTo, tokens, client, gas, collect, close: (id) => close(id) },
    relay: createOrderRelay({ solver, domain: signingDomain(client.chain) }),
    async sweep() {
      // All of them: those that cannot be finished yet must not keep the others from it.
      for (let last: X402Payment | undefined; ; ) {
        const open = await listOpenPayments(database, payTo, last)
        if (open.length === 0) return
        const fromBlock = await blockNumber()
        for (const payment of open) await goOn(payment, fromBlock)
        last = open.at(-1)
      }
    },
  }

  async function goOn(payment: X402Payment, fromBlock: number): Promise<void> {
    try {
      if (payment.state === 'settled') await close(payment.id, fromBlock)
      else if (payment.state === 'returning') await sendChange(payment)
      else if (payment.takenAt < now() - leaseSeconds) await finishTaken(payment)
    } catch (error) {
      const { code } = toLilypadError(error)
      log[code === 'RATE_LIMITED' ? 'info' : 'warn'](
        { payment: payment.id, state: payment.state, ...failureFacts(error) },
        'x402.pending',
      )
    }
  }

  /** Settles what an earlier process may have sent. What never left is not sent now: nobody waits for its answer. */
  async function finishTaken(payment: X402Payment): Promise<void> {
    const { authorization } = decodeTransfer(payment.transfer)
    const isUsed = await isAuthorizationUsed(client, { token: payment.asset, ...authorization })
    const isOver = BigInt(now() - clockSlackSeconds) > authorization.validBefore
    if (isUsed || isOver) await collect(payment)
  }
}
