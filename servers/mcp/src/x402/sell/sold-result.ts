import type { Lilypad, StoredJob } from '@lilypad-agents/sdk'
import { type PaymentResponse, paymentResponseMetaKey } from '@lilypad-agents/sdk/x402'
import type { CallToolResult } from '@modelcontextprotocol/server'
import { findImageType, findText, isImageType, maxImageBytes } from '../../outputs/output-kind.ts'
import { count } from '../../text/count.ts'
import { cleanLine, cleanText } from '../../text/clean-text.ts'
import type { Sale } from './sale.ts'

const shownFiles = 16
const shownTexts = 3
const textCharacters = 8000
const linkSeconds = 24 * 3600

/** The result of a paid call: short texts and one image in it, every file by a link of a day, and the receipt of the payment. */
export async function toSoldResult(
  { job, sale }: { readonly job: StoredJob; readonly sale: Sale },
  { lilypad, network }: { readonly lilypad: Lilypad; readonly network: string },
): Promise<CallToolResult> {
  const declared = new Map(job.module.outputs.files.map(({ path, mediaType }) => [path, mediaType]))
  const outputs = await lilypad.fetchOutputs(job.orderHash)
  const files: Record<string, unknown>[] = []
  const texts: { path: string; text: string }[] = []
  const images: { data: string; mimeType: string }[] = []
  for (const output of outputs.slice(0, shownFiles)) {
    const path = cleanLine(output.path, 200)
    const bytes = output.bytes <= maxImageBytes ? await output.read() : undefined
    const imageType = bytes && findImageType(bytes)
    const said = declared.get(output.path)
    const isMislabelled = bytes !== undefined && said !== undefined && isImageType(said) && said !== imageType
    if (bytes && imageType && !isMislabelled && images.length === 0)
      images.push({ data: Buffer.from(bytes).toString('base64'), mimeType: imageType })
    const text = bytes && !imageType && !isMislabelled ? findText(bytes) : undefined
    if (text !== undefined && texts.length < shownTexts) texts.push({ path, text: cleanText(text, textCharacters) })
    const link = await lilypad.linkOutput(job.orderHash, { path: output.path, seconds: linkSeconds })
    files.push({
      path,
      bytes: output.bytes,
      sha256: output.sha256,
      media_type: cleanLine(said ?? 'application/octet-stream', 80),
      url: link.url,
    })
  }
  const structuredContent = {
    summary: `${count(outputs.length, 'file')}, signed by the provider and verified by this seller before anything was charged.`,
    job_id: job.orderHash,
    module: job.module.name,
    version_id: job.order.moduleVersion,
    provider: job.order.provider,
    files,
    untrusted: { texts },
  }
  const response: PaymentResponse = {
    success: true,
    transaction: sale.transaction ?? '',
    network,
    payer: sale.authorization.from,
    amount: sale.offer.amount.toString(),
  }
  return {
    structuredContent,
    content: [
      { type: 'text', text: JSON.stringify(structuredContent) },
      ...images.map((image) => ({ type: 'image' as const, ...image })),
    ],
    _meta: { [paymentResponseMetaKey]: response },
  }
}
