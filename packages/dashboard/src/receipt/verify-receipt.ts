import { type Hex, JobBundle, jobOrderType, receiptType, responsePath, sha256 } from '@lilypad-agents/protocol'
import { type Check, verifyBundle } from '@lilypad-agents/sdk/verify'
import { z } from 'zod'
import { describeCheck, type DescribedCheck } from './describe-check.ts'

/** What the reader of a reply was told and has seen, to be compared with what was signed. */
export type Seen = {
  readonly receipt: string
  /** LILY, as a decimal number. */
  readonly cost: string
  readonly model: string
  readonly inputTokens: number
  readonly outputTokens: number
} & (
  | {
      readonly messages: readonly { readonly role: string; readonly content: string }[]
      /** The text of the reply. */
      readonly text: string
    }
  | { readonly input: readonly string[]; readonly vectors: readonly (readonly number[])[] }
)

/** Everything that a receipt is checked with. */
export type ReceiptCase = {
  /** What `GET /v1/jobs/{id}/receipt` answered. */
  readonly bundle: unknown
  /** Bytes by the path of the output. */
  readonly outputs: ReadonlyMap<string, Uint8Array>
  readonly jobId: string
  readonly network: { readonly chainId: number; readonly vault: string }
  /** Left out for a job whose reply this page has not seen. */
  readonly seen?: Seen | undefined
}

/** What came of the checks, and who had part in the job. */
export type ReceiptVerdict = {
  readonly ok: boolean
  readonly checks: readonly DescribedCheck[]
  /** Undefined when the receipt could not even be read. */
  readonly facts:
    | {
        readonly module: string
        readonly moduleVersion: string
        readonly provider: string
        readonly solver: string
        readonly payer: string
        /** LILY, in base units. */
        readonly price: bigint
        readonly inputUnits: number
        readonly outputUnits: number
        readonly seconds: number
        readonly finishedAt: number
      }
    | undefined
}

/**
 * Checks a job in this browser: every signature, hash and price of its receipt, with the code that every client of the network uses,
 * and then that what was signed is what was asked for and seen here. Nothing is asked of anybody.
 */
export async function verifyReceipt({
  bundle: wire,
  outputs,
  jobId,
  network,
  seen,
}: ReceiptCase): Promise<ReceiptVerdict> {
  const parsed = JobBundle.safeParse(wire)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const evidence = `the receipt cannot be read: ${issue?.path.join('.')}: ${issue?.message}`
    return { ok: false, checks: [describeCheck({ name: 'page.form', ok: false, evidence })], facts: undefined }
  }
  const bundle = parsed.data
  const { checks } = await verifyBundle(bundle, {
    findOutput: (path) => {
      const bytes = outputs.get(path)
      return bytes && { bytes: bytes.length, sha256: sha256(bytes), read: () => bytes }
    },
  })
  const domain = { chainId: bundle.chainId, vault: bundle.jobVault }
  const { order } = bundle.order
  const { receipt } = bundle.delivery
  const all: Check[] = [
    compare(
      'page.network',
      'chain and vault',
      `${network.chainId} ${network.vault}`,
      `${domain.chainId} ${domain.vault}`,
    ),
    compare('page.job', 'hash of the order', jobId, jobOrderType.hash(domain, order)),
    ...(seen ? checkSeen(bundle, seen, receiptType.hash(domain, receipt), outputs.get(responsePath)) : []),
    ...checks,
  ]
  return {
    ok: all.every(({ ok }) => ok),
    checks: all.map(describeCheck),
    facts: {
      module: bundle.module.name,
      moduleVersion: order.moduleVersion,
      provider: order.provider,
      solver: order.solver,
      payer: order.payer,
      price: receipt.price,
      inputUnits: receipt.inputUnits,
      outputUnits: receipt.outputUnits,
      seconds: receipt.meteredSeconds,
      finishedAt: receipt.finishedAt,
    },
  }
}

function checkSeen(bundle: JobBundle, seen: Seen, receiptHash: Hex, reply: Uint8Array | undefined): readonly Check[] {
  const { receipt } = bundle.delivery
  const cost = parseLily(seen.cost)
  const body = findRequest(bundle)
  return [
    compare('page.receipt', 'hash of the receipt', seen.receipt, receiptHash),
    compare('page.model', 'module', seen.model, bundle.module.name),
    // A request that went as a file is not in the receipt, only its digest.
    ...(body === undefined ? [] : [compareRequest(seen, body)]),
    'text' in seen ? compareText(seen.text, reply) : compareVectors(seen.vectors, reply),
    compare(
      'page.tokens',
      'tokens in and out',
      `${seen.inputTokens} ${seen.outputTokens}`,
      `${receipt.inputUnits} ${receipt.outputUnits}`,
    ),
    compare('page.cost', 'price in base units', String(cost), String(receipt.price)),
  ]
}

function compare(name: string, what: string, expected: string, actual: string): Check {
  const ok = expected === actual
  return {
    name,
    ok,
    evidence: ok ? `${what}: ${cut(actual)}` : `${what}: seen here ${cut(expected)}, signed ${cut(actual)}`,
  }
}

function compareRequest(seen: Seen, body: string): Check {
  if ('text' in seen) {
    const expected = seen.messages.map(({ role, content }) => ({ role, content }))
    return compare(
      'page.request',
      'messages',
      JSON.stringify(expected),
      JSON.stringify(parseAs(ChatBody, body)?.messages ?? null),
    )
  }
  const asked = parseAs(EmbeddingsBody, body)?.input
  return compare('page.request', 'texts', JSON.stringify(seen.input), JSON.stringify(asked ?? null))
}

function compareText(seen: string, reply: Uint8Array | undefined): Check {
  const name = 'page.answer'
  const message = parseReply(ChatReply, reply)?.choices[0]?.message
  if (!message) return { name, ok: false, evidence: 'the signed reply has no text' }
  const signed = `${message.content ?? ''}${message.refusal ?? ''}`
  if (seen === signed) return { name, ok: true, evidence: `${signed.length} characters, each the same` }
  let at = 0
  while (at < seen.length && seen[at] === signed[at]) at += 1
  const evidence = `they differ from character ${at + 1} on: seen ${cut(seen.slice(at))}, signed ${cut(signed.slice(at))}`
  return { name, ok: false, evidence }
}

function compareVectors(seen: readonly (readonly number[])[], reply: Uint8Array | undefined): Check {
  const name = 'page.answer'
  const signed = parseReply(EmbeddingsReply, reply)?.data
  if (!signed) return { name, ok: false, evidence: 'the signed reply has no vectors' }
  const vectors = new Map(signed.map(({ index, embedding }, at) => [index ?? at, embedding]))
  const isSame =
    vectors.size === seen.length &&
    seen.every((vector, at) => {
      const other = vectors.get(at)
      return other?.length === vector.length && vector.every((value, place) => value === other[place])
    })
  return {
    name,
    ok: isSame,
    evidence: isSame ? `${seen.length} vectors, each number the same` : 'other numbers were signed',
  }
}

const cut = (text: string) => (text.length > 200 ? `${text.slice(0, 200)}…` : text)

const ChatBody = z.object({ messages: z.array(z.object({ role: z.string(), content: z.string() })) })
const EmbeddingsBody = z.object({ input: z.array(z.string()) })
const ChatReply = z.object({
  choices: z
    .array(z.object({ message: z.object({ content: z.string().nullish(), refusal: z.string().nullish() }) }))
    .min(1),
})
const EmbeddingsReply = z.object({
  data: z.array(z.object({ index: z.number().nullish(), embedding: z.array(z.number()) })),
})

/** The request that the provider was given, where the inputs hold it. */
function findRequest({ module, inputs }: JobBundle): string | undefined {
  const { runtime } = module
  const text = runtime.kind === 'container' && runtime.server ? inputs[runtime.server.input] : undefined
  return typeof text === 'string' ? text : undefined
}

const parseReply = <S extends z.ZodType>(schema: S, reply: Uint8Array | undefined) =>
  reply && parseAs(schema, new TextDecoder().decode(reply))

function parseAs<S extends z.ZodType>(schema: S, text: string): z.output<S> | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function parseLily(text: string): bigint | undefined {
  const [, whole, fraction = ''] = /^(\d{1,30})(?:\.(\d{1,18}))?$/.exec(text) ?? []
  return whole === undefined ? undefined : BigInt(whole + fraction.padEnd(18, '0'))
}
