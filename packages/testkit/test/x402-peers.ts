import {
  type ExactPayment,
  paymentMetaKey,
  PaymentRequired,
  PaymentResponse,
  paymentResponseMetaKey,
} from '@lilypad-agents/sdk/x402'
import type { Hex } from '@lilypad-agents/protocol'
import type { Client } from '@modelcontextprotocol/client'
import { x402Client } from '@x402/core/client'
import type { PaymentRequired as OfficialPaymentRequired } from '@x402/core/types'
import { isPaymentRequired } from '@x402/core/schemas'
import { ExactEvmScheme } from '@x402/evm/exact/client'
import { privateKeyToAccount } from 'viem/accounts'
import { z } from 'zod'

const Answer = z.object({
  isError: z.boolean().optional(),
  structuredContent: z.record(z.string(), z.unknown()).optional(),
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional() })),
  _meta: z.record(z.string(), z.unknown()).optional(),
})
export type Answer = z.output<typeof Answer>

/** Calls a tool, with a payment where one is given. */
export async function callTool(
  client: Client,
  name: string,
  args: Record<string, unknown>,
  payment?: unknown,
): Promise<Answer> {
  const request = { name, arguments: args, ...(payment === undefined ? {} : { _meta: { [paymentMetaKey]: payment } }) }
  return Answer.parse(await client.callTool(request, { timeout: 90_000 }))
}

/**
 * The request for payment in an answer, found as the transport's specification tells clients to, and judged by the official schema; undefined
 * when there is none.
 * @see https://github.com/coinbase/x402/blob/main/specs/transports-v2/mcp.md
 */
export function findPaymentRequired({ isError, structuredContent, content }: Answer): PaymentRequired | undefined {
  if (!isError || !isPaymentRequired(structuredContent)) return undefined
  if (content[0]?.text !== JSON.stringify(structuredContent)) throw new TypeError('the text is not the same JSON')
  return PaymentRequired.parse(structuredContent)
}

/** Calls a tool that has to ask for a payment. */
export async function callUnpaid(
  client: Client,
  name: string,
  args: Record<string, unknown>,
): Promise<PaymentRequired> {
  const answer = await callTool(client, name, args)
  const required = findPaymentRequired(answer)
  if (!required) throw new TypeError(`no payment was asked for: ${JSON.stringify(answer)}`)
  return required
}

/** A payment as it travels. */
export type WirePayment = z.input<typeof ExactPayment>

/** A payment by the official client, with its own selection and signature. */
export async function payOfficially(key: Hex, required: PaymentRequired): Promise<WirePayment> {
  const client = new x402Client()
    .register('eip155:*', new ExactEvmScheme(privateKeyToAccount(key)))
    .setSpendControls({ allowedAssets: true })
  // Its types want networks as templates; what they hold was judged by its schema.
  return (await client.createPaymentPayload(required as OfficialPaymentRequired)) as unknown as WirePayment
}

/** The receipt of a settled payment. */
export function responseOf({ _meta }: Answer): PaymentResponse {
  return PaymentResponse.parse(_meta?.[paymentResponseMetaKey])
}

/** The `error` of an answer that is none of x402. */
export function errorOf({ isError, structuredContent }: Answer) {
  if (!isError) throw new TypeError('not refused')
  return z
    .looseObject({ code: z.string(), message: z.string(), charged: z.string(), fix: z.string() })
    .parse(structuredContent?.error)
}
