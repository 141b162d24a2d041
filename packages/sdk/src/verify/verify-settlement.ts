import { type JobBundle, jobOrderType, moduleManifestDigest, receiptType } from '@lilypad-agents/protocol'
import type { ChainClient } from '../chain/lilypad-chain.ts'
import { getVersion } from '../registry/registry-reads.ts'
import { findSettlement } from '../vault/find-settlement.ts'
import { type Check, toVerification, type Verification } from './check.ts'

/** Checks on chain what the files cannot say: the module version is registered, and the job was paid once, at its price. */
export async function verifySettlement(client: ChainClient, bundle: JobBundle): Promise<Verification> {
  const domain = { chainId: bundle.chainId, vault: bundle.jobVault }
  const { order } = bundle.order
  const { receipt } = bundle.delivery
  const orderHash = jobOrderType.hash(domain, order)
  const checks: Check[] = []
  checks.push({
    name: 'chain.vault',
    ok: client.chain.id === bundle.chainId && client.chain.contracts.jobVault.address.toLowerCase() === bundle.jobVault,
    evidence: `vault ${bundle.jobVault} on chain ${bundle.chainId}`,
  })
  const version = await getVersion(client, { moduleVersion: order.moduleVersion })
  const digest = moduleManifestDigest(bundle.module)
  checks.push({
    name: 'chain.module',
    ok: version.manifestDigest === digest,
    evidence: `published by ${version.author} with manifest ${version.manifestDigest}`,
  })
  const settlement = await findSettlement(client, { orderHash })
  if (!settlement) {
    checks.push({ name: 'chain.settled', ok: false, evidence: 'not settled yet' })
    return toVerification(checks)
  }
  checks.push({
    name: 'chain.settled',
    ok:
      settlement.price === receipt.price &&
      settlement.receiptHash === receiptType.hash(domain, receipt) &&
      settlement.moduleVersion === order.moduleVersion &&
      settlement.payer === order.payer &&
      settlement.provider === order.provider,
    evidence: `${settlement.price} paid in ${settlement.transaction}, block ${settlement.blockNumber}`,
  })
  return toVerification(checks)
}
