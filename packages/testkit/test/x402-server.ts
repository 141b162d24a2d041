import { createServer } from 'node:http'
import type { ChainClient } from '@lilypad-agents/sdk'
import { paymentMetaKey, paymentResponseMetaKey } from '@lilypad-agents/sdk/x402'
import { type CallToolResult, McpServer } from '@modelcontextprotocol/server'
import { x402Facilitator } from '@x402/core/facilitator'
import { isPaymentPayload } from '@x402/core/schemas'
import { x402ResourceServer } from '@x402/core/server'
import type { PaymentRequirements } from '@x402/core/types'
import { toFacilitatorEvmSigner } from '@x402/evm'
import { ExactEvmScheme as ExactFacilitator } from '@x402/evm/exact/facilitator'
import { ExactEvmScheme as ExactServer } from '@x402/evm/exact/server'
import { createMcpEndpoint } from '../../../servers/mcp/src/http/serve-mcp.ts'
import { createLogger } from '../../../servers/mcp/src/log/logger.ts'

export type PaidToolAnswer = {
  readonly content: { type: 'text'; text: string }[]
  readonly isError?: boolean
  readonly structuredContent?: Record<string, unknown>
  readonly _meta?: Record<string, unknown>
}
export type Handler = (call: {
  readonly name: string
  readonly args: Record<string, unknown>
  readonly payment: unknown
}) => Promise<PaidToolAnswer> | PaidToolAnswer

const inputSchema = { type: 'object' as const, properties: { text: { type: 'string' as const } } }

/** A server of a stranger with one tool, `shout`, whose answers are the handler's. */
export async function startPaidServer(
  handler: Handler,
  tool: Record<string, unknown> = { description: 'Says it loudly.' },
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const endpoint = createMcpEndpoint({
    logger: createLogger('silent'),
    maxBodyBytes: 2 * 1024 * 1024,
    async createServer() {
      const mcp = new McpServer({ name: 'stranger', version: '1.0.0' })
      mcp.server.registerCapabilities({ tools: {} })
      mcp.server.setRequestHandler('tools/list', () => ({ tools: [{ name: 'shout', inputSchema, ...tool }] }))
      mcp.server.setRequestHandler('tools/call', async ({ params }, context) => {
        const payment = context.mcpReq._meta?.[paymentMetaKey]
        return (await handler({ name: params.name, args: params.arguments ?? {}, payment })) as CallToolResult
      })
      return mcp
    },
  })
  const server = createServer((request, response) => void endpoint.handle(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/mcp`,
    async close() {
      server.closeAllConnections()
      await endpoint.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** An answer that asks for a payment. */
export function askFor(required: unknown): PaidToolAnswer {
  return {
    isError: true,
    structuredContent: required as Record<string, unknown>,
    content: [{ type: 'text', text: JSON.stringify(required) }],
  }
}

/**
 * The handler of the official packages: their resource server verifies and their facilitator settles, in the order of their wrapper for MCP.
 * @see https://github.com/coinbase/x402/blob/main/typescript/packages/mcp/src/server/paymentWrapper.ts
 */
export async function officialHandler(
  client: ChainClient,
  accepts: PaymentRequirements[],
  run: (args: Record<string, unknown>) => PaidToolAnswer,
): Promise<Handler> {
  const { account } = client
  if (!account) throw new TypeError('the facilitator pays gas')
  // The facilitator's signer is written for viem's own client; its types leave out the chain that ours carries.
  const signer = toFacilitatorEvmSigner({ ...client, address: account.address } as never)
  const facilitator = new x402Facilitator().register('eip155:31337', new ExactFacilitator(signer))
  const resource = new x402ResourceServer({
    verify: (payload, requirements) => facilitator.verify(payload, requirements),
    settle: (payload, requirements) => facilitator.settle(payload, requirements),
    getSupported: async () => facilitator.getSupported() as never,
  }).register('eip155:31337', new ExactServer())
  await resource.initialize()
  const ask = async (error: string) =>
    askFor(
      await resource.createPaymentRequiredResponse(
        accepts,
        { url: 'mcp://tool/shout', description: 'Says it loudly.' },
        error,
      ),
    )
  return async ({ args, payment }) => {
    if (payment === undefined) return ask('Payment required to access this tool')
    if (!isPaymentPayload(payment)) return ask('Invalid payment')
    const requirements = resource.findMatchingRequirements(accepts, payment as never)
    if (!requirements) return ask('No matching payment requirements found')
    const verified = await resource.verifyPayment(payment as never, requirements)
    if (!verified.isValid) return ask(verified.invalidReason ?? 'Payment verification failed')
    const result = run(args)
    if (result.isError) return result
    const settled = await resource.settlePayment(payment as never, requirements)
    return { ...result, _meta: { [paymentResponseMetaKey]: settled } }
  }
}
