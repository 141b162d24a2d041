import { DynamicStructuredTool } from '@langchain/core/tools'
import { z } from 'zod'
import type { Payer } from '../payer/payer.ts'

/** A tool that asks what a job would cost. It spends nothing. */
export function lilypadQuoteTool({ payer }: { readonly payer: Payer }): DynamicStructuredTool {
  return new DynamicStructuredTool({
    name: 'lilypad_quote',
    description:
      'Tells what a run of a Lilypad module would cost with these inputs, and how long it takes. Free: it orders and pays nothing. Use it before a call that may be dear.',
    schema: z.object({
      module: z.string().max(200).describe('Name of the module'),
      inputs: z.record(z.string(), z.unknown()).describe('Inputs as the tool of the module takes them; no files'),
    }),
    metadata: { lilypad: { spends: false } },
    async func({ module, inputs }, _manager, config) {
      const { maxPrice, expectedPrice, expectedSeconds } = await payer.quote(
        { module, inputs },
        { signal: config?.signal },
      )
      return JSON.stringify({
        expected: `${expectedPrice} LILY`,
        at_most: `${maxPrice} LILY`,
        expected_seconds: expectedSeconds,
      })
    },
  })
}
