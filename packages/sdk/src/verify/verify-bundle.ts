import {
  type Address,
  appendRecord,
  askType,
  canonicalJson,
  deliveredBytesLimit,
  encodeJobManifest,
  findManifestSigner,
  findServerUsage,
  type Hex,
  inputsDigest,
  inputUnits,
  type JobBundle,
  jobOrderType,
  jobPrice,
  laneId,
  LilypadError,
  logsDigest,
  moduleManifestDigest,
  moduleVersionId,
  outputsRoot,
  parseInputs,
  receiptStatuses,
  receiptType,
  responsePath,
  reservationType,
  sessionGrantType,
  sha256,
  toSubjects,
  unitBounds,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { checkAttestation } from './check-attestation.ts'
import { type Check, toVerification, type Verification } from './check.ts'

/** What was found at an output's path. `read` gives its bytes; needed for the reply of a model server, which is the meter. */
export type FoundOutput = {
  readonly bytes: number
  readonly sha256: Hex
  readonly read?: () => Uint8Array | Promise<Uint8Array>
}

/** Answers for a path what lies there, or undefined when nothing does. */
export type FindOutput = (path: string) => FoundOutput | undefined | Promise<FoundOutput | undefined>

const signedBy = (name: string, expected: Address, actual: Address | undefined): Check => ({
  name,
  ok: actual === expected,
  evidence:
    actual === undefined
      ? `no valid signature; expected ${expected}`
      : `signed by ${actual}${actual === expected ? '' : `, expected ${expected}`}`,
})

const equal = (
  name: string,
  what: string,
  expected: string | number | bigint,
  actual: string | number | bigint,
): Check => ({
  name,
  ok: expected === actual,
  evidence: expected === actual ? `${what} ${actual}` : `${what}: expected ${expected}, got ${actual}`,
})

const inWindow = (name: string, ok: boolean, evidence: string): Check => ({ name, ok, evidence })

function checkInputs({ inputs, module, order: { order } }: JobBundle): Check {
  const digest = equal('inputs.digest', 'sha256 of the inputs', order.inputsDigest, inputsDigest(inputs))
  if (!digest.ok) return digest
  try {
    const parsed = parseInputs(module.inputs, inputs)
    return {
      ...digest,
      ok: canonicalJson(parsed as never) === canonicalJson(inputs as never),
      evidence: `${digest.evidence}, they fit the module's schema`,
    }
  } catch (error) {
    return {
      ...digest,
      ok: false,
      evidence: LilypadError.is(error) ? error.details.join('; ') : 'they break the schema of the module',
    }
  }
}

function checkGrant(
  { grant, order: { order } }: JobBundle,
  domain: { chainId: number; vault: Hex },
  at: number,
): Check[] {
  if (order.key === order.payer)
    return [
      {
        name: 'grant',
        ok: grant === null,
        evidence: grant
          ? 'the payer signed the order itself, yet a grant is shown'
          : 'the payer signed the order itself',
      },
    ]
  if (!grant) return [{ name: 'grant', ok: false, evidence: `key ${order.key} is not the payer and shows no grant` }]
  const { payer, key, token, perJob, validUntil } = grant.grant
  const covers =
    payer === order.payer && key === order.key && token === order.token && perJob >= order.maxPrice && validUntil >= at
  return [
    signedBy('grant.signature', order.payer, sessionGrantType.findSigner(domain, grant.grant, grant.signature)),
    {
      name: 'grant.covers',
      ok: covers,
      evidence: `payer, key and token as in the order; ${perJob} per job covers ${order.maxPrice}; valid until ${validUntil}`,
    },
  ]
}

/** A success is exit code 0 with every declared output, each once and within the module's limits. */
function checkOutcome({ module, inputs, delivery: { receipt, manifest } }: JobBundle): Check {
  const { outcome, outputs } = manifest.predicate
  const paths = new Set(outputs.map(({ path }) => path))
  const missing = module.outputs.files.filter(({ path }) => !paths.has(path)).map(({ path }) => path)
  const bytes = outputs.reduce((sum, output) => sum + output.bytes, 0)
  const ended = outcome.kind === 'exited' ? `exited with code ${outcome.code}` : outcome.kind
  const succeeded = outcome.kind === 'exited' && outcome.code === 0 && missing.length === 0
  return {
    name: 'manifest.outcome',
    ok:
      succeeded === (receipt.status === 0) &&
      paths.size === outputs.length &&
      bytes <= deliveredBytesLimit(module.limits, inputs) &&
      outputs.length <= module.limits.outputFiles,
    evidence: `${ended}, ${outputs.length} files of ${bytes} bytes${missing.length > 0 ? `, without ${missing.join(', ')}` : ''}`,
  }
}

/**
 * The meter of the receipt, counted again: from the inputs where they are the meter, from the reply of the model server
 * where that is, and then no more than the request allows.
 */
async function checkUnits({ module, inputs, delivery }: JobBundle, findOutput: FindOutput): Promise<Check[]> {
  const { receipt } = delivery
  const { inputFrom, outputFrom } = module.units
  const counted = inputUnits(inputFrom, inputs)
  const bounds = unitBounds(module, inputs)
  const isFromReply = counted === undefined || outputFrom?.kind === 'server-usage'
  const usage = isFromReply && receipt.status === 0 ? await readUsage(findOutput) : undefined
  const name = 'price.units'
  const checks =
    counted === undefined
      ? [checkCounted(name, 'input units in the reply', usage?.inputUnits, receipt.inputUnits, bounds.inputUnits)]
      : [equal(name, 'input units recomputed from the inputs', counted, receipt.inputUnits)]
  // Nobody can count output units that the module does not define, so none can be billed.
  if (outputFrom?.kind !== 'server-usage')
    return receipt.outputUnits === 0
      ? checks
      : [...checks, equal('price.output-units', 'output units of a module that counts none', 0, receipt.outputUnits)]
  const what = 'output units in the reply'
  return [
    ...checks,
    checkCounted('price.output-units', what, usage?.outputUnits, receipt.outputUnits, bounds.outputUnits),
  ]
}

async function readUsage(findOutput: FindOutput) {
  const found = await findOutput(responsePath)
  if (found?.read === undefined) return undefined
  const bytes = await found.read()
  // The bytes whose usage is read must be those that the receipt commits to.
  if (sha256(bytes) !== found.sha256) return undefined
  try {
    return findServerUsage(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)))
  } catch {
    return undefined
  }
}

function checkCounted(name: string, what: string, counted: number | undefined, billed: number, most: number): Check {
  if (counted === undefined) return { name, ok: false, evidence: `${what}: none found in ${responsePath}` }
  if (counted > most) return { name, ok: false, evidence: `${what}: expected at most ${most}, got ${counted}` }
  return equal(name, what, counted, billed)
}

/**
 * Checks a job from its files alone: no network, no clock, nobody's word. Pass what lies at each output's path; without it
 * the outputs are not checked and the result says so by a failed check.
 * The signature of a payer that is a contract wallet needs its chain; here it fails.
 * @see design: "Anyone can check a result offline"
 */
export async function verifyBundle(
  bundle: JobBundle,
  options: {
    readonly findOutput: FindOutput
    /** What is wrong with the stream that was seen, if anything is; left out when nobody watched. */
    readonly stream?: { readonly fault: string | undefined }
  },
): Promise<Verification> {
  const domain = { chainId: bundle.chainId, vault: bundle.jobVault }
  const { module, ask, order: signedOrder, reservation, delivery } = bundle
  const { order } = signedOrder
  const { receipt, manifest } = delivery
  const orderHash = jobOrderType.hash(domain, order)
  const receiptHash = receiptType.hash(domain, receipt)
  const manifestDigest = moduleManifestDigest(module)
  const { predicate } = manifest
  const programDigest = module.runtime.kind === 'wasm' ? module.runtime.program.sha256 : module.runtime.image.digest
  const ranDigest = 'sha256' in predicate.program ? predicate.program.sha256 : predicate.program.image
  const succeeded = receipt.status === 0
  const meter = jobPrice(ask.ask, receipt)

  const checks: Check[] = [
    equal(
      'module.version',
      'version id of the manifest',
      order.moduleVersion,
      moduleVersionId(module.name, manifestDigest),
    ),
    signedBy('ask.signature', order.provider, askType.findSigner(domain, ask.ask, ask.signature)),
    equal('ask.ordered', 'hash of the ask', order.askHash, askType.hash(domain, ask.ask)),
    inWindow(
      'ask.terms',
      ask.ask.provider === order.provider &&
        ask.ask.moduleVersion === order.moduleVersion &&
        ask.ask.token === order.token &&
        ask.ask.solver === order.solver,
      'provider, module version, token and solver as in the order',
    ),
    signedBy('order.signature', order.key, jobOrderType.findSigner(domain, order, signedOrder.signature)),
    ...checkGrant(bundle, domain, reservation.reservation.reservedAt),
    checkInputs(bundle),
    signedBy(
      'reservation.signature',
      order.solver,
      reservationType.findSigner(domain, reservation.reservation, reservation.signature),
    ),
    inWindow(
      'reservation.covers',
      reservation.reservation.orderHash === orderHash &&
        reservation.reservation.payer === order.payer &&
        reservation.reservation.token === order.token &&
        reservation.reservation.solver === order.solver &&
        reservation.reservation.amount >= order.maxPrice,
      `${reservation.reservation.amount} reserved for this order, at most ${order.maxPrice} asked`,
    ),
    signedBy('receipt.signature', order.provider, receiptType.findSigner(domain, receipt, delivery.signature)),
    signedBy('manifest.signature', order.provider, findManifestSigner(manifest, delivery.manifestSignature)),
    equal('receipt.order', 'order', orderHash, receipt.orderHash),
    equal('receipt.status', 'status', receiptStatuses[0], receiptStatuses[receipt.status] ?? 'unknown'),
    equal('manifest.digest', 'sha256 of the job manifest', receipt.manifestDigest, sha256(encodeJobManifest(manifest))),
    inWindow(
      'manifest.job',
      predicate.orderHash === orderHash &&
        predicate.provider === order.provider &&
        predicate.inputsDigest === order.inputsDigest &&
        predicate.module.id === order.moduleVersion &&
        predicate.module.manifestDigest === manifestDigest,
      'the manifest speaks of this order, provider, inputs and module version',
    ),
    equal('manifest.program', 'digest of the program that ran', programDigest, ranDigest),
    equal('outputs.root', 'Merkle root of the outputs', receipt.outputsRoot, outputsRoot(predicate.outputs)),
    inWindow(
      'outputs.subjects',
      canonicalJson(toSubjects(predicate.outputs) as never) === canonicalJson(manifest.subject as never),
      `${predicate.outputs.length} output files are the subjects of the statement`,
    ),
    checkOutcome(bundle),
    inWindow(
      'manifest.usage',
      predicate.usage.meteredSeconds === receipt.meteredSeconds &&
        predicate.usage.inputUnits === receipt.inputUnits &&
        predicate.usage.outputUnits === receipt.outputUnits &&
        predicate.usage.outputBytes === predicate.outputs.reduce((sum, { bytes }) => sum + bytes, 0),
      `${receipt.meteredSeconds} s, ${receipt.inputUnits} input and ${receipt.outputUnits} output units in manifest and receipt`,
    ),
    equal('logs.digest', 'digest of the logs', receipt.logsDigest, logsDigest(predicate.logs)),
    ...(await checkUnits(bundle, options.findOutput)),
    succeeded
      ? equal('price.meter', 'price from the meter and the ask', meter, receipt.price)
      : equal('price.meter', 'price of a job that did not succeed', 0n, receipt.price),
    inWindow('price.maximum', receipt.price <= order.maxPrice, `${receipt.price} of at most ${order.maxPrice}`),
    inWindow(
      'times',
      receipt.startedAt <= order.startBy &&
        receipt.finishedAt <= order.deliverBy &&
        receipt.startedAt <= receipt.finishedAt &&
        // Of both moments the receipt has whole seconds.
        receipt.meteredSeconds <= receipt.finishedAt - receipt.startedAt + 1,
      `${receipt.meteredSeconds} s billed, started ${receipt.startedAt} (by ${order.startBy}), finished ${receipt.finishedAt} (by ${order.deliverBy})`,
    ),
  ]
  checks.push(...checkAttestation(bundle, domain))
  if (options.stream) {
    const { fault } = options.stream
    const { chunks = 0, bytes = 0, truncated = false } = predicate.stream ?? {}
    checks.push({
      name: 'stream',
      ok: fault === undefined,
      evidence:
        fault ??
        `${chunks} chunks of ${bytes} bytes came as the receipt commits to them${truncated ? ', the rest was over the limit' : ''}`,
    })
  }
  for (const file of predicate.outputs) {
    const found = await options.findOutput(file.path)
    const name = `output ${file.path}`
    if (!found) checks.push({ name, ok: false, evidence: 'the file is not there' })
    else if (found.bytes !== file.bytes) checks.push(equal(name, 'bytes', file.bytes, found.bytes))
    else checks.push(equal(name, 'sha256', file.sha256, found.sha256))
  }
  if (bundle.acknowledgement) {
    const { voucher, signature } = bundle.acknowledgement
    checks.push(signedBy('acknowledgement.signature', order.key, voucherType.findSigner(domain, voucher, signature)))
    checks.push(equal('acknowledgement.lane', 'lane', laneId(order), laneId(voucher)))
    const record = {
      orderHash,
      receiptHash,
      moduleVersion: order.moduleVersion,
      price: receipt.price,
      nonce: order.nonce,
    }
    // Of a later voucher only the chain can say whether this job is in its running hash.
    const isFirst = voucher.jobs === 1
    const holds = isFirst
      ? voucher.recordsHash === appendRecord(zeroBytes32, record) && voucher.cumulativeAmount === receipt.price
      : voucher.jobs > 1 && voucher.cumulativeAmount >= receipt.price
    checks.push({
      name: 'acknowledgement.record',
      ok: holds,
      evidence: `${voucher.cumulativeAmount} for ${voucher.jobs} jobs of the lane${isFirst ? ', and its running hash is that of this job' : ''}`,
    })
  }
  return toVerification(checks)
}
