import { LilypadError } from '@lilypad-agents/protocol'
import { parseTokenAmount, type StoredQuote } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { GivenInputs, resolveInputs } from '../inputs/resolve-inputs.ts'
import { Amount, currencyShape, formatAmount, tokenSymbol, withToken } from '../money/token.ts'
import { cleanLine, quoteName } from '../text/clean-text.ts'
import { assertMayCall, defineTool } from '../tool/define-tool.ts'
import { NextCalls, withNext } from '../tool/next-call.ts'
import { Problem, tellProblem } from '../tool/problem.ts'
import type { ToolContext } from '../tool/tool-context.ts'
import { ModuleReference } from './module-reference.ts'

/** Gets a price for a job. */
export const quoteJob = defineTool({
  name: 'lilypad_quote_job',
  title: 'Quote a job',
  description:
    'Get the price of running a module on these inputs. Reserves and spends nothing. The quote_id is valid once, for minutes. Show max_charge to the user when they have not allowed it yet. A file input is {"path"} inside the input folder, or {"base64","mediaType","name"} up to 256 kB.',
  input: z.strictObject({
    module: ModuleReference,
    inputs: GivenInputs.describe('by name, as lilypad_get_module says'),
    max_price: z
      .string()
      .refine((text) => /^\d{1,20}(\.\d{1,18})?$/.test(text), 'expected an amount of LILY as text, such as "0.5"')
      .optional()
      .describe('refuse dearer quotes, LILY, e.g. "0.5"'),
  }),
  output: z.object({
    summary: z.string(),
    quote_id: z.string(),
    module: z.string(),
    version: z.string(),
    max_charge: Amount.describe('no more can be charged'),
    expected_charge: Amount,
    ...currencyShape,
    expected_seconds: z.number(),
    expires_at: z.string(),
    provider: z.string(),
    allowed: z.boolean().describe('within the spending limits'),
    needs_approval: z.boolean(),
    refusal: Problem.optional(),
    next: NextCalls,
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  example: { module: 'tts', inputs: { text: 'Hello.' }, max_price: '0.5' },
  showsJob: true,
  async handle({ module, inputs: given, max_price }, context) {
    const { config, lilypad, logger } = context
    const { inputs, files } = await resolveInputs(given, config.inputDirectory)
    const stored = await lilypad.quote({
      module,
      inputs,
      files,
      ...(max_price === undefined ? {} : { maxPrice: parseTokenAmount(max_price) }),
    })
    const { quote } = stored
    const { refused, needsApproval } = await checkOrder(stored, context)
    const refusal = refused && tellProblem(refused, logger, config).problem
    const next = refusal
      ? `It cannot be run here (${refusal.code}): ${refusal.fix}.`
      : `Next: lilypad_run_job with this quote_id${needsApproval ? '; the user has to approve it' : ''}.`
    return {
      result: {
        summary: `${quoteName(quote.module)} costs at most ${withToken(quote.maxPrice)}, about ${withToken(quote.expectedPrice)} expected. ${next}`,
        quote_id: quote.quoteId,
        module: quote.module,
        version: cleanLine(stored.module.version, 64),
        max_charge: formatAmount(quote.maxPrice),
        expected_charge: formatAmount(quote.expectedPrice),
        token: tokenSymbol,
        chain_id: lilypad.network.chainId,
        expected_seconds: quote.expectedSeconds,
        expires_at: new Date(quote.expiresAt * 1000).toISOString(),
        provider: quote.ask.ask.provider,
        allowed: refusal === undefined,
        needs_approval: needsApproval,
        ...(refusal ? { refusal } : withNext({ tool: 'lilypad_run_job', args: { quote_id: quote.quoteId } })),
      },
    }
  },
})

/** Whether an order for this quote would be signed now, and if a person is asked first. Signing checks again; this only saves a call. */
async function checkOrder(
  { quote }: StoredQuote,
  { lilypad, config }: ToolContext,
): Promise<{ readonly refused: LilypadError | undefined; readonly needsApproval: boolean }> {
  try {
    assertMayCall({ needsKey: true, isReadOnly: false }, config)
    const check = await lilypad.checkOrder(quote.quoteId)
    return { refused: undefined, needsApproval: check.job === undefined && check.needsApproval }
  } catch (error) {
    if (LilypadError.is(error)) return { refused: error, needsApproval: false }
    throw error
  }
}
