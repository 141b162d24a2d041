import { LilypadError } from '@lilypad-agents/protocol'
import { type Check, verifySettlement } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { cleanLine } from '../text/clean-text.ts'
import { defineTool } from '../tool/define-tool.ts'
import type { ToolContext } from '../tool/tool-context.ts'
import { Handle } from './module-reference.ts'

const shownChecks = 45
const verdicts = ['verified', 'unsettled', 'unverifiable', 'mismatch'] as const
const meanings: { readonly [verdict in (typeof verdicts)[number]]: string } = {
  verified: 'Every check holds: the files, the signatures, the price, and the settlement on chain.',
  unsettled: 'The files, signatures and price hold; the job is not settled on chain yet. Call again later.',
  unverifiable: 'The files, signatures and price hold; the chain could not be asked. Call again later.',
  mismatch: 'At least one check fails: do not rely on this result.',
}

/** Checks a job again, from its files and on chain. */
export const verifyJob = defineTool({
  name: 'lilypad_verify_job',
  title: 'Verify job',
  description:
    'Check a delivered job: signatures, digest of every file, module, price, and its settlement on chain. Use it before relying on a result that matters. Free.',
  input: z.strictObject({ job_id: Handle }),
  output: z.object({
    summary: z.string(),
    job_id: z.string(),
    verdict: z.enum(verdicts),
    checks: z.array(z.object({ name: z.string(), ok: z.boolean(), evidence: z.string() })),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  example: { job_id: `0x${'a1'.repeat(32)}` },
  async handle({ job_id }, context) {
    const offline = await context.lilypad.verify(job_id)
    const { checks: onChain, isReached } = await checkChain(job_id, context)
    const checks = [...offline.checks, ...onChain]
    const failed = checks.filter(({ ok }) => !ok)
    const isOnlyUnsettled = failed.every(
      ({ name, evidence }) => name === 'chain.settled' && evidence === 'not settled yet',
    )
    const verdict: (typeof verdicts)[number] = !offline.ok
      ? 'mismatch'
      : !isReached
        ? 'unverifiable'
        : failed.length === 0
          ? 'verified'
          : isOnlyUnsettled
            ? 'unsettled'
            : 'mismatch'
    return {
      result: {
        summary: `${meanings[verdict]} ${checks.length - failed.length} of ${checks.length} checks hold.`,
        job_id,
        verdict,
        checks: [...failed, ...checks.filter(({ ok }) => ok)].slice(0, shownChecks).map(({ name, ok, evidence }) => ({
          name: cleanLine(
            name.replace(/^output (.*)$/s, (_, path: string) => `output ${JSON.stringify(path)}`),
            120,
          ),
          ok,
          evidence: cleanLine(ok ? shorten(evidence) : evidence, ok ? 60 : 300),
        })),
      },
    }
  },
})

async function checkChain(
  jobId: `0x${string}`,
  { lilypad }: ToolContext,
): Promise<{ readonly checks: readonly Check[]; readonly isReached: boolean }> {
  try {
    const { checks } = await verifySettlement(lilypad.client, await lilypad.exportBundle(jobId))
    return { checks, isReached: true }
  } catch (error) {
    if (!LilypadError.is(error) || error.code !== 'RPC_UNREACHABLE') throw error
    return { checks: [{ name: 'chain.reached', ok: false, evidence: error.shortMessage }], isReached: false }
  }
}

/** A digest that matched is told by its ends; one that did not is told whole. */
const shorten = (evidence: string) => evidence.replace(/0x([0-9a-f]{6})[0-9a-f]{30,}([0-9a-f]{4})\b/g, '0x$1…$2')
