import {
  type Ask,
  askType,
  type Bytes32,
  createSigner,
  type Hex,
  inputsDigest,
  type JobInputs,
  type JobManifest,
  type JobOrder,
  jobManifestDigest,
  jobOrderType,
  jobPredicateType,
  jobPrice,
  logsDigest,
  type MeteredUnits,
  ModuleManifest,
  moduleManifestDigest,
  moduleVersionId,
  type OrderRequest,
  type OutputFile,
  outputsRoot,
  receiptType,
  type SessionGrant,
  sessionGrantType,
  sha256,
  signManifest,
  type Signer,
  type SigningDomain,
  toHex,
  toSubjects,
  zeroBytes32,
  type Delivery,
  unitBounds,
} from '@lilypad-agents/protocol'

export const address = (index: number): Hex => `0x${index.toString(16).padStart(40, '0')}`
export const bytes32 = (index: number): Bytes32 => `0x${index.toString(16).padStart(64, '0')}`
export const key = (index: number): Hex => bytes32(index + 1)

export const contracts = { jobVault: address(0xa1), moduleRegistry: address(0xa2), lilyToken: address(0xa3) }
export const domain: SigningDomain = { chainId: 31_337, vault: contracts.jobVault }

export const solverKey = key(1)
export const actors = {
  solver: createSigner(solverKey),
  provider: createSigner(key(2)),
  otherProvider: createSigner(key(3)),
  payer: createSigner(key(4)),
  sessionKey: createSigner(key(5)),
  stranger: createSigner(key(6)),
}

export const program = new TextEncoder().encode('not really a program')

/** A module that takes a text and, if one is given, a file. */
export const moduleManifest: ModuleManifest = ModuleManifest.parse({
  schema: 'lilypad/module@1',
  name: 'echo',
  version: '1.0.0',
  kind: 'module',
  title: 'Echo',
  summary: 'Says it again',
  description: 'Writes its input to its output.',
  runtime: {
    kind: 'wasm',
    program: { sha256: sha256(program), bytes: program.length, mediaType: 'application/wasm' },
    args: ['echo', '{text}'],
    stdin: 'none',
    env: {},
  },
  inputs: {
    type: 'object',
    properties: {
      text: { type: 'string', maxLength: 1000 },
      file: { type: 'object', format: 'lilypad-file', mediaTypes: ['text/plain'], maxBytes: 1_000_000 },
    },
    required: ['text'],
    additionalProperties: false,
  },
  outputs: { files: [{ path: 'echo.txt', mediaType: 'text/plain', title: 'Echo' }], result: null },
  limits: {
    timeoutSeconds: 30,
    memoryBytes: 67_108_864,
    cpuMillis: 1000,
    outputBytes: 100_000,
    outputFiles: 4,
    logBytes: 1000,
    scratchBytes: 0,
    pids: 8,
  },
  units: { input: 'character', output: '-', inputFrom: { kind: 'string-length', property: 'text' } },
  price: { pricePerJob: '1000', pricePerSecond: '0', pricePerInputUnit: '1', pricePerOutputUnit: '0' },
  determinism: 'exact',
  comparator: { name: 'exact' },
  licence: { code: 'Apache-2.0', weights: 'none' },
  author: { feeBips: 500 },
})
export const manifestDigest = moduleManifestDigest(moduleManifest)
export const moduleVersion = moduleVersionId(moduleManifest.name, manifestDigest)

export const seconds = () => Math.floor(Date.now() / 1000)

export function createAsk(provider: Signer = actors.provider, change: Partial<Ask> = {}) {
  const ask: Ask = {
    provider: provider.address,
    solver: actors.solver.address,
    moduleVersion,
    token: contracts.lilyToken,
    pricePerJob: 1000n,
    pricePerSecond: 0n,
    pricePerInputUnit: 1n,
    pricePerOutputUnit: 0n,
    slots: 4,
    validUntil: seconds() + 3600,
    salt: toHex(crypto.getRandomValues(new Uint8Array(32))),
    ...change,
  }
  return { ask, signature: askType.sign(domain, ask, provider) }
}

export function createGrant(change: Partial<SessionGrant> = {}) {
  const grant: SessionGrant = {
    payer: actors.payer.address,
    key: actors.sessionKey.address,
    token: contracts.lilyToken,
    perJob: 5000n,
    perDay: 20_000n,
    total: 50_000n,
    validUntil: seconds() + 86_400,
    providersRoot: zeroBytes32,
    modulesRoot: zeroBytes32,
    nonce: 1n,
    ...change,
  }
  return { grant, signature: sessionGrantType.sign(domain, grant, actors.payer) }
}

export type OrderParts = { readonly order: JobOrder; readonly orderHash: Bytes32; readonly request: OrderRequest }
const nonces = { next: 0 }

export function createOrder(
  options: {
    readonly change?: Partial<JobOrder>
    readonly inputs?: JobInputs
    readonly ask?: OrderRequest['ask']
    readonly signer?: Signer
    readonly payer?: Signer
    readonly grant?: OrderRequest['grant']
  } = {},
): OrderParts {
  const {
    change = {},
    inputs = { text: 'hello' },
    ask = createAsk(),
    payer = actors.payer,
    signer = payer,
    grant = null,
  } = options
  const order: JobOrder = {
    payer: payer.address,
    key: signer.address,
    moduleVersion,
    inputsDigest: inputsDigest(inputs),
    askHash: askType.hash(domain, ask.ask),
    provider: ask.ask.provider,
    solver: actors.solver.address,
    token: contracts.lilyToken,
    maxPrice: 1100n,
    lane: 1,
    nonce: nonces.next++,
    startBy: seconds() + 60,
    deliverBy: seconds() + 120,
    verification: 0,
    auditCommit: bytes32(7),
    ...change,
  }
  const signature = jobOrderType.sign(domain, order, signer)
  return { order, orderHash: jobOrderType.hash(domain, order), request: { order, signature, grant, ask, inputs } }
}

export const outputBytes = new TextEncoder().encode('hello')
export const outputFile: OutputFile = { path: 'echo.txt', bytes: outputBytes.length, sha256: sha256(outputBytes) }

export function createDelivery(
  { order, orderHash, request }: OrderParts,
  options: {
    readonly status?: number
    readonly outputs?: readonly OutputFile[]
    readonly provider?: Signer
    readonly billed?: Partial<MeteredUnits>
    /** Seconds that it says the run took. */
    readonly ranFor?: number
  } = {},
): Delivery {
  const { status = 0, outputs = status === 0 ? [outputFile] : [], provider = actors.provider } = options
  const emptyStream = { bytes: 0, sha256: sha256(''), truncated: false }
  const logs = { stdout: emptyStream, stderr: emptyStream }
  const units = {
    meteredSeconds: 1,
    inputUnits: unitBounds(moduleManifest, request.inputs).inputUnits,
    outputUnits: 0,
    ...options.billed,
  }
  const manifest: JobManifest = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: toSubjects(outputs),
    predicateType: jobPredicateType,
    predicate: {
      orderHash,
      provider: order.provider,
      module: { name: moduleManifest.name, version: moduleManifest.version, id: moduleVersion, manifestDigest },
      program: { sha256: sha256(program) },
      executor: { name: 'noop', isolation: {} },
      inputsDigest: order.inputsDigest,
      outputs: [...outputs],
      logs,
      outcome: { kind: 'exited', code: status === 0 ? 0 : 1 },
      usage: { runMilliseconds: 400, ...units, outputBytes: outputs.reduce((sum, { bytes }) => sum + bytes, 0) },
      machine: {},
    },
  }
  const receipt = {
    orderHash,
    status,
    manifestDigest: jobManifestDigest(manifest),
    outputsRoot: outputsRoot(outputs),
    logsDigest: logsDigest(logs),
    ...units,
    price: status === 0 ? jobPrice(request.ask.ask, units) : 0n,
    startedAt: seconds() - (options.ranFor ?? 0),
    finishedAt: seconds(),
  }
  return {
    receipt,
    signature: receiptType.sign(domain, receipt, provider),
    manifest,
    manifestSignature: signManifest(manifest, provider),
  }
}
