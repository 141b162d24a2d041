import { type Address, LilypadError } from '@lilypad-agents/protocol'
import { translateChainErrors } from '@lilypad-agents/sdk'
import {
  ExactPayment,
  findAuthorizedTransfer,
  findChainFault,
  findPaymentFault,
  isAuthorizationUsed,
  PaymentRequirements,
  transferWithAuthorizationCall,
} from '@lilypad-agents/sdk/x402'
import { z } from 'zod'
import { collectInTurn } from './collect-in-turn.ts'
import type { AcceptedToken, X402Desk } from './desk.ts'
import { paymentId } from './payment-header.ts'

/** What a facilitator is asked. */
export const FacilitatorBody = z.object({
  x402Version: z.literal(2),
  paymentPayload: ExactPayment,
  paymentRequirements: PaymentRequirements,
})
export type FacilitatorBody = z.output<typeof FacilitatorBody>

export const VerifyAnswer = z.object({
  isValid: z.boolean(),
  invalidReason: z.string().optional(),
  payer: z.string().optional(),
})
export type VerifyAnswer = z.output<typeof VerifyAnswer>

export const SettleAnswer = z.object({
  success: z.boolean(),
  transaction: z.string(),
  network: z.string(),
  payer: z.string().optional(),
  amount: z.string().optional(),
  errorReason: z.string().optional(),
})
export type SettleAnswer = z.output<typeof SettleAnswer>

/** How far back a transfer that was made already is looked for. */
const lookBackBlocks = 5000n
/** How long a payment has to be good for when it comes, so that it can be settled. */
const settleSeconds = 20

/** Verifies and settles payments between others: `exact` by signed transfer, in the tokens of this gateway. */
export type Facilitator = {
  verify(body: FacilitatorBody): Promise<VerifyAnswer>
  /** Sends the transfer and pays the gas. A payment that was settled before is answered with its transaction. */
  settle(body: FacilitatorBody): Promise<SettleAnswer>
}

export function createFacilitator(desk: X402Desk, now: () => number): Facilitator {
  const { client, tokens, gas, config } = desk
  const settling = new Map<string, Promise<SettleAnswer>>()

  /** The token of a payment as it is asked for; a reason when it cannot be settled here, whatever the chain says. */
  function look({ paymentPayload, paymentRequirements }: FacilitatorBody): AcceptedToken | string {
    const { scheme, network, amount, payTo, asset } = paymentRequirements
    if (scheme !== 'exact') return 'unsupported_scheme'
    const token = tokens.find((accepted) => accepted.asset === asset.toLowerCase())
    if (!token || network !== token.network) return 'invalid_network'
    if (!/^\d{1,39}$/.test(amount)) return 'invalid_payment_requirements'
    // Dust would cost more to move than it is worth.
    if (BigInt(amount) < token.toAmount(config.minTransfer)) return 'invalid_payment_requirements'
    const expected = {
      payTo: payTo.toLowerCase() as Address,
      amount: BigInt(amount),
      payableUntil: now() + settleSeconds,
    }
    return findPaymentFault(paymentPayload, expected, token, now()) ?? token
  }

  const findMade = async (token: AcceptedToken, { paymentPayload: { payload } }: FacilitatorBody) => {
    const block = await translateChainErrors('eth_blockNumber', () => client.getBlockNumber({ cacheTime: 0 }))
    const fromBlock = block > lookBackBlocks ? block - lookBackBlocks : 0n
    return findAuthorizedTransfer(client, { token: token.asset, authorization: payload.authorization, fromBlock })
  }

  async function verify(body: FacilitatorBody): Promise<VerifyAnswer> {
    const { payload } = body.paymentPayload
    const payer = payload.authorization.from
    const token = look(body)
    if (typeof token === 'string') return { isValid: false, invalidReason: token, payer }
    const fault = await findChainFault(client, body.paymentPayload, token)
    if (fault) return { isValid: false, invalidReason: fault, payer }
    await gas.check()
    try {
      const { account } = client
      const call = transferWithAuthorizationCall({ token: token.asset, ...payload })
      await translateChainErrors(call.functionName, () =>
        client.simulateContract({ ...call, ...(account ? { account } : {}) }),
      )
      return { isValid: true, payer }
    } catch (error) {
      if (!LilypadError.is(error) || error.code !== 'CONTRACT_REVERTED') throw error
      return { isValid: false, invalidReason: 'invalid_transaction_state', payer }
    }
  }

  async function settleOnce(body: FacilitatorBody): Promise<SettleAnswer> {
    const { payload } = body.paymentPayload
    const { authorization } = payload
    const { network } = body.paymentRequirements
    const payer = authorization.from
    const fail = (errorReason = 'unexpected_settle_error'): SettleAnswer => {
      return { success: false, transaction: '', network, payer, errorReason }
    }
    const token = look(body)
    if (typeof token === 'string') return fail(token)
    const { asset } = token
    const succeed = ({ transaction }: { readonly transaction: string }): SettleAnswer => {
      return { success: true, transaction, network, payer, amount: authorization.value.toString() }
    }
    if (await isAuthorizationUsed(client, { token: asset, ...authorization })) {
      const earlier = await findMade(token, body)
      return earlier ? succeed(earlier) : fail('invalid_transaction_state')
    }
    const { isValid, invalidReason } = await verify(body)
    if (!isValid) return fail(invalidReason)
    const fromBlock = await translateChainErrors('eth_blockNumber', () => client.getBlockNumber({ cacheTime: 0 }))
    const made = await gas.spend(() => collectInTurn(client, { token: asset, ...payload, fromBlock }))
    return made ? succeed(made) : fail('invalid_transaction_state')
  }

  return {
    verify,
    settle(body) {
      const id = paymentId(body.paymentPayload)
      const running = settling.get(id)
      if (running) return running
      const work = settleOnce(body).finally(() => settling.delete(id))
      settling.set(id, work)
      return work
    },
  }
}
