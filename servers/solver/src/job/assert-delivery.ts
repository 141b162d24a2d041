import {
  deliveredBytesLimit,
  type Delivery,
  findManifestSigner,
  inputUnits,
  jobManifestDigest,
  jobPrice,
  LilypadError,
  logsDigest,
  moduleManifestDigest,
  type ModuleManifest,
  type OrderRequest,
  outputsRoot,
  receiptStatuses,
  receiptType,
  type Bytes32,
  type SigningDomain,
  toSubjects,
  unitBounds,
} from '@lilypad-agents/protocol'

/** Two clocks differ a little in their speed, and in whole seconds one of them may have just begun. */
const clockSlackSeconds = 2

/**
 * Checks that a delivery says one thing: signed by the order's provider, for this order and module, its digests those
 * of its manifest, its price the meter times the ask and within the order's maximum.
 * @throws LilypadError `VERIFICATION_FAILED` or `SIGNATURE_INVALID`
 */
export function assertDelivery(
  delivery: Delivery,
  facts: {
    readonly domain: SigningDomain
    readonly orderHash: Bytes32
    readonly request: OrderRequest
    readonly manifest: ModuleManifest
    /** Seconds since the order came. */
    readonly age: number
  },
): void {
  const { receipt, signature, manifest, manifestSignature } = delivery
  const { domain, orderHash, request, manifest: module, age } = facts
  const { order } = request
  const { predicate } = manifest
  if (receiptType.findSigner(domain, receipt, signature) !== order.provider) {
    throw new LilypadError('SIGNATURE_INVALID', 'The receipt is not signed by the provider of the order.')
  }
  if (findManifestSigner(manifest, manifestSignature) !== order.provider) {
    throw new LilypadError('SIGNATURE_INVALID', 'The job manifest is not signed by the provider of the order.')
  }
  const units = {
    meteredSeconds: receipt.meteredSeconds,
    inputUnits: receipt.inputUnits,
    outputUnits: receipt.outputUnits,
  }
  const counted = inputUnits(module.units.inputFrom, request.inputs)
  const bounds = unitBounds(module, request.inputs)
  const succeeded = receiptStatuses[receipt.status] === 'succeeded'
  const paths = new Set(predicate.outputs.map(({ path }) => path))
  const outputBytes = predicate.outputs.reduce((sum, { bytes }) => sum + bytes, 0)
  const rules: readonly (readonly [what: string, holds: boolean])[] = [
    ['receipt.orderHash', receipt.orderHash === orderHash],
    ['receipt.manifestDigest', receipt.manifestDigest === jobManifestDigest(manifest)],
    ['receipt.outputsRoot', receipt.outputsRoot === outputsRoot(predicate.outputs)],
    ['receipt.logsDigest', receipt.logsDigest === logsDigest(predicate.logs)],
    [
      'receipt.inputUnits',
      counted === undefined ? receipt.inputUnits <= bounds.inputUnits : receipt.inputUnits === counted,
    ],
    // Where the module does not say what a unit of output is, there are none: a provider would bill as many as the order pays for.
    ['receipt.outputUnits', receipt.outputUnits <= bounds.outputUnits],
    ['receipt.price', receipt.price === (succeeded ? jobPrice(request.ask.ask, units) : 0n)],
    ['receipt.price over the order', receipt.price <= order.maxPrice],
    ['receipt.finishedAt', receipt.finishedAt >= receipt.startedAt],
    [
      'receipt.meteredSeconds',
      receipt.meteredSeconds <= Math.min(receipt.finishedAt - receipt.startedAt + 1, age + clockSlackSeconds),
    ],
    ['manifest.orderHash', predicate.orderHash === orderHash],
    ['manifest.provider', predicate.provider === order.provider],
    [
      'manifest.module',
      predicate.module.id === order.moduleVersion && predicate.module.manifestDigest === moduleManifestDigest(module),
    ],
    ['manifest.inputsDigest', predicate.inputsDigest === order.inputsDigest],
    ['manifest.subject', JSON.stringify(toSubjects(predicate.outputs)) === JSON.stringify(manifest.subject)],
    ['manifest.outputs twice', paths.size === predicate.outputs.length],
    [
      'manifest.outputs over the limits',
      outputBytes <= deliveredBytesLimit(module.limits, request.inputs) && paths.size <= module.limits.outputFiles,
    ],
    [
      'manifest.usage',
      predicate.usage.meteredSeconds === receipt.meteredSeconds &&
        predicate.usage.inputUnits === receipt.inputUnits &&
        predicate.usage.outputUnits === receipt.outputUnits,
    ],
    ['declared outputs', !succeeded || module.outputs.files.every(({ path }) => paths.has(path))],
  ]
  const broken = rules.filter(([, holds]) => !holds).map(([what]) => what)
  if (broken.length === 0) return
  throw new LilypadError('VERIFICATION_FAILED', 'The delivery contradicts itself or its order.', {
    details: broken.slice(0, 10),
  })
}
