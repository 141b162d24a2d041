import type { BaseMessage } from '@langchain/core/messages'
import { JobBundle, jobOrderType, receiptType, sha256 } from '@lilypad-agents/protocol'
import { formatTokenAmount, verifyBundle } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { LilypadError } from '../error/lilypad-error.ts'
import type { Payer } from '../payer/payer.ts'
import { getReceipt, type LilypadReceipt } from './receipt.ts'

/** One thing that was checked: what, whether it holds, and what was compared. */
export type ReceiptCheck = { readonly name: string; readonly ok: boolean; readonly evidence: string }
/** `ok` only when every check holds. */
export type ReceiptVerification = { readonly ok: boolean; readonly checks: readonly ReceiptCheck[] }

/**
 * Checks in this process that a job was done as its receipt says: signatures of provider, solver and payer, module version,
 * digests of all outputs, meter and price, and that it is the job of this receipt. Nobody's word is taken.
 * @throws LilypadError INVALID_REQUEST when the message has no receipt
 */
export async function verifyReceipt(
  subject: LilypadReceipt | BaseMessage,
  options: {
    /** Where the proof and the outputs are read. */
    readonly payer: Pick<Payer, 'getBundle' | 'readOutput'>
    readonly signal?: AbortSignal | undefined
  },
): Promise<ReceiptVerification> {
  const { payer, signal } = options
  const receipt = 'jobId' in subject ? subject : getReceipt(subject)
  if (!receipt)
    throw new LilypadError('INVALID_REQUEST', 'The message has no receipt.', {
      hint: 'verify replies of ChatLilypad and results of tools that bought a job',
    })
  const said = await payer.getBundle(receipt.jobId, { signal })
  const parsed = z.safeDecode(JobBundle, said as z.input<typeof JobBundle>)
  if (!parsed.success)
    return {
      ok: false,
      checks: [{ name: 'bundle', ok: false, evidence: 'what was given as the proof of the job is none' }],
    }
  const bundle = parsed.data
  const domain = { chainId: bundle.chainId, vault: bundle.jobVault }
  const { receipt: signed } = bundle.delivery
  const own = [
    equal('receipt.job', receipt.jobId, jobOrderType.hash(domain, bundle.order.order)),
    equal('receipt.hash', receipt.receipt, receiptType.hash(domain, signed)),
    equal('receipt.cost', receipt.cost.amount, formatTokenAmount(signed.price)),
  ]
  const { ok, checks } = await verifyBundle(bundle, {
    async findOutput(path) {
      const bytes = await payer.readOutput(receipt.jobId, path, { signal })
      return { bytes: bytes.length, sha256: sha256(bytes), read: () => bytes }
    },
  })
  return { ok: ok && own.every((check) => check.ok), checks: [...own, ...checks] }
}

const equal = (name: string, expected: string, actual: string): ReceiptCheck => ({
  name,
  ok: expected === actual,
  evidence: expected === actual ? actual : `expected ${expected}, got ${actual}`,
})
