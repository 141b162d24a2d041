import { Address, Bytes32, jobStates, ModuleName } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { OrderTemplate } from '../orders/offered-order.ts'

// The general part of the API: any module, by quote and job. Amounts are decimal numbers of LILY, as text.

const Amount = z.string().meta({ description: 'LILY, as a decimal number', examples: ['0.005'] })
const Seconds = z.int().meta({ description: 'Unix seconds' })
const ModuleReference = z
  .union([ModuleName, Bytes32])
  .meta({ description: 'Name of a module, or the id of one version' })

/** Files of a request, in Base64. */
const GivenFiles = z
  .record(
    z.string().max(64),
    z.object({ data: z.base64(), media_type: z.string().max(255), name: z.string().min(1).max(255) }),
  )
  .default({})
  .meta({ description: 'Input files by the name of their input' })

export const QuoteBody = z.object({
  module: ModuleReference,
  inputs: z.record(z.string().max(64), z.unknown()).default({}),
  files: GivenFiles,
  max_price: Amount.optional(),
  provider: Address.optional(),
})

export const QuoteOrderBody = z.object({ quote_id: Bytes32 })
export const JobBody = z.union([QuoteOrderBody, QuoteBody])
export type JobBody = z.output<typeof JobBody>

export const QuoteView = z.object({
  object: z.literal('quote'),
  id: Bytes32,
  module: ModuleName,
  module_version: Bytes32,
  provider: Address,
  max_price: Amount,
  expected_price: Amount,
  expected_seconds: z.number(),
  currency: z.literal('LILY'),
  expires_at: Seconds,
  order: OrderTemplate.meta({ description: 'What a wallet signs to order the job itself, at /v1/orders' }),
})

export const ModuleView = z.object({
  object: z.literal('module'),
  name: ModuleName,
  module_version: Bytes32,
  version: z.string(),
  title: z.string(),
  summary: z.string(),
  description: z.string(),
  author: Address,
  inputs: z.record(z.string(), z.unknown()).meta({ description: 'JSON schema of the inputs' }),
  outputs: z.array(z.object({ path: z.string(), media_type: z.string(), title: z.string() })),
  examples: z.array(z.unknown()),
  price: z.object({ per_job: Amount, per_second: Amount, per_input_unit: Amount, per_output_unit: Amount }),
  units: z.object({ input: z.string(), output: z.string() }),
  currency: z.literal('LILY'),
  providers: z.int(),
})

export const JobView = z.object({
  object: z.literal('job'),
  id: Bytes32,
  state: z.enum(jobStates),
  module: ModuleName,
  module_version: Bytes32,
  provider: Address,
  created_at: Seconds,
  deliver_by: Seconds,
  max_price: Amount,
  cost: Amount.nullable().meta({ description: 'What was charged; null until that is known' }),
  currency: z.literal('LILY'),
  verified: z.boolean().nullable(),
  receipt: Bytes32.nullable(),
  tx: Bytes32.nullable().meta({ description: 'Transaction that settled the job on chain' }),
  reason: z.object({ code: z.string(), message: z.string() }).nullable(),
  outputs: z.array(z.object({ path: z.string(), bytes: z.int(), sha256: Bytes32, url: z.string() })),
})

export const ListQuery = z.object({
  query: z.string().max(200).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(200).optional(),
})
