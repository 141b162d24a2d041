import {
  appendRecord,
  type Ask,
  askType,
  attestationDigest,
  createSigner,
  inputsDigest,
  type JobBundle,
  type JobInputs,
  type JobManifest,
  type JobOrder,
  jobManifestDigest,
  jobOrderType,
  jobPrice,
  keccak256,
  logsDigest,
  ModuleManifest,
  moduleManifestDigest,
  moduleVersionId,
  outputsRoot,
  type PreflightReport,
  requiredPreflightChecks,
  type Receipt,
  type Reservation,
  receiptType,
  reservationType,
  type SessionGrant,
  sessionGrantType,
  sha256,
  signAttestation,
  type SignedAttestation,
  type Signer,
  signManifest,
  toSubjects,
  type Voucher,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'

export const sampleDomain = { chainId: 31_337, vault: `0x${'0b'.repeat(20)}` } as const
const sign = (name: string) => createSigner(keccak256(`sample ${name}`))
export const sampleSigners = {
  payer: sign('payer'),
  session: sign('session'),
  provider: sign('provider'),
  solver: sign('solver'),
  stranger: sign('stranger'),
}
const token = `0x${'70'.repeat(20)}` as const
const none = { bytes: 0, sha256: sha256(''), truncated: false } as const

export const sampleModule = ModuleManifest.parse({
  schema: 'lilypad/module@1',
  name: 'sample',
  version: '1.0.0',
  kind: 'module',
  title: 'Sample',
  summary: 'Says a text',
  description: 'For tests.',
  runtime: {
    kind: 'wasm',
    program: { sha256: sha256('program'), bytes: 7, mediaType: 'application/wasm' },
    args: ['sample', '{text}'],
    stdin: 'none',
    env: { LANG: 'C' },
  },
  inputs: {
    type: 'object',
    properties: {
      text: { type: 'string', maxLength: 100 },
      image: { type: 'object', format: 'lilypad-file', mediaTypes: ['image/png'], maxBytes: 1000 },
    },
    required: ['text'],
    additionalProperties: false,
  },
  outputs: { files: [{ path: 'out.txt', mediaType: 'text/plain', title: 'Text' }], result: { path: 'out.txt' } },
  limits: {
    timeoutSeconds: 30,
    memoryBytes: 67_108_864,
    cpuMillis: 1000,
    outputBytes: 1000,
    outputFiles: 3,
    logBytes: 1000,
    scratchBytes: 0,
    pids: 1,
  },
  units: { input: 'character', output: 'none', inputFrom: { kind: 'string-length', property: 'text' } },
  price: { pricePerJob: '1000', pricePerSecond: '10', pricePerInputUnit: '1', pricePerOutputUnit: '0' },
  determinism: 'exact',
  comparator: { name: 'json-numeric', digits: 2 },
  licence: { code: 'Apache-2.0', weights: 'none' },
  author: { feeBips: 500 },
  examples: [{ title: 'Hello', inputs: { text: 'hello' }, files: {}, golden: 'golden' }],
})

/** What lies at each output's path of the genuine bundle. */
export const sampleOutputs: ReadonlyMap<string, Uint8Array> = new Map([
  ['out.txt', new TextEncoder().encode('hello')],
  ['pages/1.txt', new TextEncoder().encode('more')],
])
const outputFiles = [...sampleOutputs].map(([path, bytes]) => ({ path, bytes: bytes.length, sha256: sha256(bytes) }))

/** What to change before the parties sign: each change is signed as if its signer had meant it. */
export type SampleChanges = {
  readonly module?: ModuleManifest
  readonly inputs?: JobInputs
  readonly outputs?: readonly { path: string; bytes: number; sha256: `0x${string}` }[]
  readonly payerOrders?: boolean
  readonly ask?: Partial<Ask>
  readonly grant?: Partial<SessionGrant>
  readonly order?: Partial<JobOrder>
  readonly reservation?: Partial<Reservation>
  readonly predicate?: Partial<JobManifest['predicate']>
  readonly receipt?: Partial<Receipt>
  readonly voucher?: Partial<Voucher>
  /** Put into the bundle as it is; the manifest names it. */
  readonly attestation?: SignedAttestation
}

/** The sample module as a container. */
export const sampleContainer: ModuleManifest = {
  ...sampleModule,
  runtime: {
    kind: 'container',
    image: { digest: `sha256:${'00'.repeat(32)}`, reference: 'sample' },
    args: [],
    stdin: 'none',
    env: {},
  },
}

const sampleReport: PreflightReport = {
  version: 1,
  ranAt: 1_799_990_000,
  executor: 'docker',
  policy: 'job',
  facts: { engine: 'docker 28', runtime: 'runc' },
  profileDigest: sha256('profile'),
  programDigest: sha256('attacks'),
  milliseconds: 2500,
  checks: requiredPreflightChecks.map((id) => ({
    id,
    row: 1,
    required: true,
    expected: 'nothing',
    result: 'contained',
    found: '',
  })),
}

/** What the provider of the sample, or another signer, says of its sandbox. */
export function createSampleAttestation(
  changes: Partial<PreflightReport> = {},
  options: { readonly validUntil?: number; readonly signer?: Signer } = {},
): SignedAttestation {
  const { validUntil = 1_800_100_000, signer = sampleSigners.provider } = options
  return signAttestation({ ...sampleReport, ...changes }, { validUntil, signer, domain: sampleDomain })
}

/** A job of a container, with what its provider says of the sandbox. */
export function createContainerBundle(changes: SampleChanges = {}): JobBundle {
  const program = { image: `sha256:${'00'.repeat(32)}` }
  return createSampleBundle({ module: sampleContainer, ...changes, predicate: { program, ...changes.predicate } })
}

/** A job from order to acknowledgement, signed with fixed keys. */
export function createSampleBundle(changes: SampleChanges = {}): JobBundle {
  const { module = sampleModule, payerOrders = false, outputs = outputFiles, attestation } = changes
  const { payer, session, provider, solver } = sampleSigners
  const key = payerOrders ? payer : session
  const manifestDigest = moduleManifestDigest(module)
  const moduleVersion = moduleVersionId(module.name, manifestDigest)
  const inputs: JobInputs = changes.inputs ?? {
    text: 'hello',
    image: { $file: { sha256: sha256('image'), bytes: 5, mediaType: 'image/png', name: 'image.png' } },
  }
  const ask: Ask = {
    provider: provider.address,
    solver: solver.address,
    moduleVersion,
    token,
    pricePerJob: 1000n,
    pricePerSecond: 10n,
    pricePerInputUnit: 1n,
    pricePerOutputUnit: 0n,
    slots: 2,
    validUntil: 1_800_003_600,
    salt: sha256('salt'),
    ...changes.ask,
  }
  const grant: SessionGrant = {
    payer: payer.address,
    key: session.address,
    token,
    perJob: 5000n,
    perDay: 50_000n,
    total: 500_000n,
    validUntil: 1_800_100_000,
    providersRoot: zeroBytes32,
    modulesRoot: zeroBytes32,
    nonce: 1n,
    ...changes.grant,
  }
  const order: JobOrder = {
    payer: payer.address,
    key: key.address,
    moduleVersion,
    inputsDigest: inputsDigest(inputs),
    askHash: askType.hash(sampleDomain, ask),
    provider: provider.address,
    solver: solver.address,
    token,
    maxPrice: 2000n,
    lane: 7,
    nonce: 0,
    startBy: 1_800_000_900,
    deliverBy: 1_800_001_200,
    verification: 0,
    auditCommit: sha256('audit'),
    ...changes.order,
  }
  const orderHash = jobOrderType.hash(sampleDomain, order)
  const reservation: Reservation = {
    orderHash,
    solver: solver.address,
    payer: payer.address,
    token,
    sequence: 3,
    previous: sha256('previous'),
    amount: order.maxPrice,
    outstanding: order.maxPrice + 1n,
    reservedAt: 1_800_000_001,
    ...changes.reservation,
  }
  const units = {
    meteredSeconds: 2,
    inputUnits: typeof inputs.text === 'string' ? [...inputs.text].length : 0,
    outputUnits: 0,
  }
  const logs = { stdout: none, stderr: { ...none, bytes: 4, sha256: sha256('logs') } }
  const predicate: JobManifest['predicate'] = {
    orderHash,
    provider: provider.address,
    module: { name: module.name, version: module.version, id: moduleVersion, manifestDigest },
    program: { sha256: sha256('program') },
    executor: { name: 'wasm', isolation: { network: false, memoryBytes: 67_108_864, user: 'nobody' } },
    inputsDigest: order.inputsDigest,
    outputs: [...outputs],
    logs,
    outcome: { kind: 'exited', code: 0 },
    usage: { runMilliseconds: 1500, ...units, outputBytes: outputs.reduce((sum, { bytes }) => sum + bytes, 0) },
    machine: {
      cpus: 2,
      architecture: 'x64',
      ...(attestation === undefined ? {} : { preflight: attestationDigest(attestation, sampleDomain) }),
    },
    ...changes.predicate,
  }
  const manifest: JobManifest = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: toSubjects(predicate.outputs),
    predicateType: 'https://lilypad.tech/attestation/job/v1',
    predicate,
  }
  const receipt: Receipt = {
    orderHash,
    status: 0,
    manifestDigest: jobManifestDigest(manifest),
    outputsRoot: outputsRoot(predicate.outputs),
    logsDigest: logsDigest(predicate.logs),
    ...units,
    price: jobPrice(ask, units),
    startedAt: 1_800_000_010,
    finishedAt: 1_800_000_012,
    ...changes.receipt,
  }
  const record = {
    orderHash,
    receiptHash: receiptType.hash(sampleDomain, receipt),
    moduleVersion,
    price: receipt.price,
    nonce: order.nonce,
  }
  const voucher: Voucher = {
    payer: payer.address,
    key: key.address,
    provider: provider.address,
    solver: solver.address,
    token,
    lane: order.lane,
    cumulativeAmount: receipt.price,
    jobs: 1,
    recordsHash: appendRecord(zeroBytes32, record),
    ...changes.voucher,
  }
  return {
    schema: 'lilypad/bundle@1',
    chainId: sampleDomain.chainId,
    jobVault: sampleDomain.vault,
    module,
    ask: { ask, signature: askType.sign(sampleDomain, ask, provider) },
    grant: payerOrders ? null : { grant, signature: sessionGrantType.sign(sampleDomain, grant, payer) },
    order: { order, signature: jobOrderType.sign(sampleDomain, order, key) },
    inputs,
    reservation: { reservation, signature: reservationType.sign(sampleDomain, reservation, solver) },
    delivery: {
      receipt,
      signature: receiptType.sign(sampleDomain, receipt, provider),
      manifest,
      manifestSignature: signManifest(manifest, provider),
    },
    acknowledgement: { voucher, signature: voucherType.sign(sampleDomain, voucher, key) },
    ...(attestation === undefined ? {} : { attestation }),
  }
}

/** Finds the genuine outputs. */
export function findSampleOutput(path: string): { bytes: number; sha256: `0x${string}` } | undefined {
  const bytes = sampleOutputs.get(path)
  return bytes && { bytes: bytes.length, sha256: sha256(bytes) }
}
