import { type Bytes32, canonicalJson, type Json, keccak256, LilypadError, sha256 } from '@lilypad-agents/protocol'
import { parseTokenAmount, type StoredJob } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { GivenInputs, resolveInputs } from '../inputs/resolve-inputs.ts'
import { readArguments } from '../tool/read-arguments.ts'
import type { ToolContext } from '../tool/tool-context.ts'
import { waitSeconds } from '../tools/wait-seconds.ts'
import type { Pin } from './pin.ts'
import type { PinnedCalls } from './pinned-calls.ts'
import type { PinShelf } from './pin-shelf.ts'

const PinnedArguments = z.strictObject({
  inputs: GivenInputs,
  max_price: z
    .string()
    .regex(/^\d{1,20}(\.\d{1,18})?$/, 'expected an amount of LILY as text, such as "0.5"')
    .optional(),
  key: z.string().min(1).max(64).optional(),
  wait_s: waitSeconds(25),
})

// An order that another process signs in the last moment of a quote is in the store long before this is over.
const graceSeconds = 60

/** The price has risen over what this call allows since the quote that it has. */
class OverCallCapError extends LilypadError {
  override readonly name = 'OverCallCapError'
  constructor() {
    super('PRICE_OVER_CAP', 'The job of this call costs more than max_price.', {
      hint: 'raise max_price, or choose another module',
    })
  }
}

/**
 * Turns a call of a pinned tool into the call of `lilypad_run_job` that it stands for. The call has one quote, whoever repeats it: its key is
 * what the client gave, or the inputs themselves. A quote that ran out before anything was bought is asked for again, and so is a job that
 * ended without being paid.
 */
export async function quotePinnedCall(
  pin: Pin,
  given: unknown,
  { shelf, calls, context }: { readonly shelf: PinShelf; readonly calls: PinnedCalls; readonly context: ToolContext },
): Promise<{ readonly quote_id: Bytes32; readonly wait_s: number }> {
  const { config, lilypad } = context
  const { inputs: givenInputs, max_price, key, wait_s } = readArguments(PinnedArguments, given, { inputs: {} })
  const { versionId } = await shelf.get(pin)
  const { inputs, files } = await resolveInputs(givenInputs, config.inputDirectory)
  const maxPrice = max_price === undefined ? undefined : parseTokenAmount(max_price)
  const digests = Object.entries(files).map(([name, { bytes }]): [string, string] => [name, sha256(bytes)])
  const call = keccak256(
    canonicalJson([lilypad.key ?? '', versionId, key ?? '', inputs as Json, Object.fromEntries(digests)]),
  )
  const known = calls.find(call)
  const stored = known && (await lilypad.findQuote(known))
  if (known && stored) {
    const job = (await lilypad.listJobs()).find(({ quoteId }) => quoteId === known)
    const isOver = job ? hasEndedUnpaid(job) : stored.quote.expiresAt + graceSeconds < Date.now() / 1000
    if (!isOver) {
      if (!job && maxPrice !== undefined && stored.quote.maxPrice > maxPrice) throw new OverCallCapError()
      return { quote_id: known, wait_s }
    }
  }
  const { quote } = await lilypad.quote({
    module: versionId,
    inputs,
    files,
    ...(maxPrice === undefined ? {} : { maxPrice }),
  })
  return { quote_id: calls.bind(call, quote.quoteId, known), wait_s }
}

const hasEndedUnpaid = ({ state, acknowledgement }: StoredJob): boolean =>
  acknowledgement === null && ['declined', 'expired', 'failed', 'refunded'].includes(state)
