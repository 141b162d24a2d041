import { z } from 'zod'

// What the page reads of the gateway's answers. Fields it does not know are passed over.

export const NetworkFacts = z.object({
  name: z.string(),
  chain_id: z.number(),
  vault: z.string(),
  usd_per_lily: z.string(),
  explorer_url: z.string().nullish(),
})
export type NetworkFacts = z.output<typeof NetworkFacts>

export const Readiness = z.object({ status: z.string(), database: z.boolean(), network: z.boolean() })
export type Readiness = z.output<typeof Readiness>

export const ModelFacts = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  context_length: z.number().nullish(),
  architecture: z.object({ input_modalities: z.array(z.string()), output_modalities: z.array(z.string()) }),
  pricing: z.object({ prompt: z.string(), completion: z.string(), request: z.string() }),
  top_provider: z.object({ max_completion_tokens: z.number().nullish() }),
  supported_parameters: z.array(z.string()),
  lilypad: z.object({
    module: z.string(),
    module_version: z.string(),
    providers: z.number(),
    price: z.object({ per_job: z.string(), per_input_unit: z.string(), per_output_unit: z.string() }).nullish(),
    /** One for each provider that offers it now; `resident` where it holds the model in memory. */
    offers: z.array(z.object({ resident: z.boolean().nullish() })).nullish(),
  }),
})
export type ModelFacts = z.output<typeof ModelFacts>
/** A model in a form that the page does not know is left out, so that it hides no other. */
export const ModelList = z.object({ data: z.array(ModelFacts.nullable().catch(null)) })

export const ModuleFacts = z.object({
  name: z.string(),
  version: z.string(),
  title: z.string(),
  summary: z.string(),
  price: z.object({
    per_job: z.string(),
    per_second: z.string(),
    per_input_unit: z.string(),
    per_output_unit: z.string(),
  }),
  units: z.object({ input: z.string(), output: z.string() }),
  providers: z.number(),
})
export type ModuleFacts = z.output<typeof ModuleFacts>
export const ModuleList = z.object({ data: z.array(ModuleFacts) })

export const AccountFacts = z.object({ balance: z.string(), reserved: z.string(), available: z.string() })
export type AccountFacts = z.output<typeof AccountFacts>

export const UsageRow = z.object({
  id: z.string(),
  createdAt: z.number(),
  kind: z.string(),
  model: z.string(),
  inputUnits: z.number().nullish(),
  outputUnits: z.number().nullish(),
  cost: z.string(),
  job: z.string().nullish(),
})
export type UsageRow = z.output<typeof UsageRow>
export const UsageList = z.object({ data: z.array(UsageRow) })

export const JobFacts = z.object({
  id: z.string(),
  state: z.string(),
  module: z.string(),
  cost: z.string().nullish(),
  tx: z.string().nullish(),
  outputs: z.array(z.object({ path: z.string(), url: z.string() })),
})
export type JobFacts = z.output<typeof JobFacts>

/** What a reply says of its job: `lilypad` in its body. */
export const Settlement = z.object({
  job_id: z.string(),
  receipt: z.string(),
  cost: z.object({ amount: z.string() }),
})
export type Settlement = z.output<typeof Settlement>

export const TokenUsage = z.object({
  prompt_tokens: z.number(),
  completion_tokens: z.number().optional(),
  cost: z.number().nullish(),
})
export type TokenUsage = z.output<typeof TokenUsage>

export const EmbeddingsBody = z.object({
  data: z.array(z.object({ embedding: z.array(z.number()) })),
  usage: TokenUsage,
  lilypad: Settlement,
})
export type EmbeddingsBody = z.output<typeof EmbeddingsBody>
