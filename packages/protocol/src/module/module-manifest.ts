import { z } from 'zod'
import { keccak256, sha256 } from '../crypto/hash.ts'
import { encodeWord } from '../eip712/typed-data.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { canonicalJson, isWellFormedJson, type Json } from '../primitives/canonical-json.ts'
import { Bytes32, concatBytes } from '../primitives/hex.ts'
import { OutputPath } from '../receipt/outputs-root.ts'
import { InputName, InputSchema } from './input-schema.ts'
import { ModuleLimits } from './module-limits.ts'
import { ModuleNetwork } from './module-network.ts'
import { ModuleServer, responsePath } from './module-server.ts'

/** Name of a module, unique in a registry. */
export const ModuleName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'expected 1 to 63 of a-z, 0-9 and -, not starting with -')
export type ModuleName = z.output<typeof ModuleName>

/** Digest of a container image's configuration: what the engine calls the image id. */
export const ImageDigest = z.string().regex(/^sha256:[0-9a-f]{64}$/)

const Environment = z
  .record(z.string().regex(/^(?!LD_|NVIDIA_)[A-Z][A-Z0-9_]{0,63}$/), z.string().max(4096))
  .default({})
const Arguments = z.array(z.string().max(8192)).max(128)
const Stdin = z.enum(['none', 'inputs'])

/** What is run. Placeholders `{name}` in arguments stand for one whole input each; there is no shell. */
export const ModuleRuntime = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('wasm'),
    program: z.strictObject({
      sha256: Bytes32,
      bytes: z
        .int()
        .min(1)
        .max(1024 ** 3),
      mediaType: z.literal('application/wasm'),
    }),
    args: Arguments,
    stdin: Stdin,
    env: Environment,
  }),
  z.strictObject({
    kind: z.literal('container'),
    image: z.strictObject({ digest: ImageDigest, reference: z.string().max(255) }),
    /** Arguments of a server are passed on as they are: they come before any job. */
    args: Arguments,
    stdin: Stdin,
    env: Environment,
    /** Makes the container a server that answers one job after another. @default each job has a container of its own */
    server: ModuleServer.optional(),
  }),
])
export type ModuleRuntime = z.output<typeof ModuleRuntime>

/** Whether two runs give the same bytes: anywhere, with the same image on the same kind of machine, after canonicalisation, or not at all. */
export const determinisms = ['exact', 'exact-same-image', 'canonical', 'none'] as const

/** How a second run is compared with the first. Named by the author before any job is sold. */
export const Comparator = z.discriminatedUnion('name', [
  z.strictObject({ name: z.literal('exact') }),
  z.strictObject({ name: z.literal('json-numeric'), digits: z.int().min(0).max(12) }),
])
export type Comparator = z.output<typeof Comparator>

/** What one input unit is, so that the meter can be recomputed from the inputs alone. */
export const UnitSource = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('string-length'), property: InputName }),
  z.strictObject({ kind: z.literal('file-bytes'), property: InputName }),
  /** `usage.prompt_tokens` of a model server's reply. */
  z.strictObject({ kind: z.literal('server-usage') }),
])
export type UnitSource = z.output<typeof UnitSource>

/** What one output unit is: nothing, or `usage.completion_tokens` of a model server's reply. */
export const OutputUnitSource = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('server-usage') }),
])
export type OutputUnitSource = z.output<typeof OutputUnitSource>

function measuresInputs(inputFrom: UnitSource, { properties }: InputSchema): boolean {
  switch (inputFrom.kind) {
    case 'none':
    case 'server-usage':
      return true
    case 'string-length':
      return properties[inputFrom.property]?.type === 'string'
    case 'file-bytes':
      return properties[inputFrom.property]?.type === 'object'
  }
}

/** Why a module cannot be a server as it is described, or undefined when it can, or is none. */
function findServerProblem({
  runtime,
  inputs,
  outputs,
}: {
  readonly runtime: ModuleRuntime
  readonly inputs: InputSchema
  readonly outputs: { readonly files: readonly { readonly path: string }[] }
}): string | undefined {
  const server = runtime.kind === 'container' ? runtime.server : undefined
  if (server === undefined) return undefined
  const request = inputs.properties[server.input]
  const isRequest =
    request?.type === 'string' || (request?.type === 'object' && request.mediaTypes.join() === 'application/json')
  if (!isRequest || !inputs.required.includes(server.input))
    return 'names no required input that is text or a file of application/json'
  if (runtime.stdin !== 'none') return 'reads no standard input: its stdin is none'
  if (outputs.files.some(({ path }) => path !== responsePath)) return `has one output, ${responsePath}`
  return undefined
}

const text = (length: number) => z.string().max(length)

/** A module version: what runs, what goes in and comes out, what it may use, what it costs, how it is checked, under which licence. */
export const ModuleManifest = z
  .strictObject({
    schema: z.literal('lilypad/module@1'),
    name: ModuleName,
    version: z.string().regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/, 'expected a semantic version'),
    kind: z.literal('module'),
    title: text(120),
    summary: text(280),
    description: text(8000),
    runtime: ModuleRuntime,
    inputs: InputSchema,
    outputs: z.strictObject({
      files: z.array(z.strictObject({ path: OutputPath, mediaType: text(128), title: text(120) })).max(64),
      /** Output file whose JSON is the job's result in one value, if there is one. */
      result: z.strictObject({ path: OutputPath }).nullable(),
    }),
    limits: ModuleLimits,
    /** What a run talks to, through a proxy of the provider. @default no network at all */
    network: ModuleNetwork.optional(),
    units: z.strictObject({
      input: text(120),
      output: text(120),
      inputFrom: UnitSource,
      /** @default none */
      outputFrom: OutputUnitSource.optional(),
    }),
    /** Suggested prices in base units of LILY; providers ask what they like. */
    price: z.strictObject({
      pricePerJob: TokenAmount,
      pricePerSecond: TokenAmount,
      pricePerInputUnit: TokenAmount,
      pricePerOutputUnit: TokenAmount,
    }),
    determinism: z.enum(determinisms),
    comparator: Comparator,
    licence: z.strictObject({ code: text(120), weights: text(400) }),
    author: z.strictObject({
      /** Share of each job's price that goes to the author, in hundredths of a percent. */
      feeBips: z.int().min(0).max(5000),
    }),
    examples: z
      .array(
        z.strictObject({
          title: text(120),
          inputs: z.record(
            InputName,
            z.union([z.string(), z.number(), z.boolean(), z.array(z.union([z.string(), z.number(), z.boolean()]))]),
          ),
          /** Input files, by path inside the module's folder. */
          files: z.record(InputName, OutputPath).default({}),
          /** Folder with the expected outputs. */
          golden: OutputPath.optional(),
        }),
      )
      .max(16)
      .default([]),
  })
  .refine(({ units, inputs }) => measuresInputs(units.inputFrom, inputs), {
    path: ['units', 'inputFrom'],
    message: 'names no input of the kind it measures',
  })
  .refine(
    ({ units, runtime }) =>
      (runtime.kind === 'container' && runtime.server !== undefined) ||
      (units.inputFrom.kind !== 'server-usage' && units.outputFrom?.kind !== 'server-usage'),
    { path: ['units'], message: 'counts what only a model server counts' },
  )
  .check(({ value, issues }) => {
    const message = findServerProblem(value)
    if (message !== undefined)
      issues.push({ code: 'custom', path: ['runtime', 'server'], message, input: value.runtime })
  })
  .refine(({ runtime, limits }) => limits.gpu === undefined || runtime.kind === 'container', {
    path: ['limits', 'gpu'],
    message: 'only a container can use a GPU',
  })
  .refine(
    ({ network, runtime }) => network === undefined || (runtime.kind === 'container' && runtime.server === undefined),
    {
      path: ['network'],
      message: 'only a container that runs one job can talk to hosts',
    },
  )
  .refine(({ network, limits }) => network === undefined || limits.gpu === undefined, {
    path: ['network'],
    message: 'a module that uses a GPU cannot talk to hosts',
  })
  .refine(({ network, determinism }) => network === undefined || !determinism.startsWith('exact'), {
    path: ['determinism'],
    message: 'a module that talks to hosts cannot be exact: they may answer otherwise the next time',
  })
  .refine(isWellFormedJson, 'expected well-formed Unicode')
export type ModuleManifest = z.output<typeof ModuleManifest>

/** The manifest as canonical JSON: the text whose digest names the version. */
export function encodeModuleManifest(manifest: ModuleManifest): string {
  return canonicalJson(z.encode(ModuleManifest, manifest) as Json)
}

/** SHA-256 of the canonical manifest. */
export function moduleManifestDigest(manifest: ModuleManifest): Bytes32 {
  return sha256(encodeModuleManifest(manifest))
}

/** Id of a module: keccak of its name. */
export function moduleId(name: ModuleName): Bytes32 {
  return keccak256(name)
}

/** Id of a module version in the registry: a name and a manifest, so that nobody can publish another's manifest as theirs. */
export function moduleVersionId(name: ModuleName, manifestDigest: Bytes32): Bytes32 {
  return keccak256(concatBytes(encodeWord('bytes32', moduleId(name)), encodeWord('bytes32', manifestDigest)))
}
