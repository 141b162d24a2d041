import type { Request } from 'express'
import {
  type Address,
  Bytes32,
  findAuthorized,
  findLinkSigner,
  LilypadError,
  parseWire,
} from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import { findJob, type JobRow, JobUnknownError } from '../job/job-row.ts'

/** A parameter of the path that is a digest. */
export function digestParameter(request: Request, name: string): Bytes32 {
  return parseWire(Bytes32, request.params[name], name)
}

function getCaller(context: SolverContext, request: Request, orderHash: Bytes32): Address {
  const caller = findAuthorized(context.domain, orderHash, request.headers.authorization, context.clock())
  if (caller) return caller
  throw new LilypadError('UNAUTHORIZED', 'This needs a valid access signature for the job.', {
    hint: 'send `Authorization: Lilypad <validUntil>:<signature>`, signed over an Access whose subject is the order hash',
  })
}

// Without a signature nobody learns whether a job exists, and with a stranger's signature every job is unknown.
async function authorize(
  context: SolverContext,
  request: Request,
  isParty: (job: JobRow, caller: Address) => boolean,
): Promise<JobRow> {
  const orderHash = digestParameter(request, 'orderHash')
  const caller = getCaller(context, request, orderHash)
  const job = await findJob(context, orderHash)
  if (!job || !isParty(job, caller)) throw new JobUnknownError()
  return job
}

/** The job in the path, if its key or payer calls. */
export function authorizeRequester(context: SolverContext, request: Request): Promise<JobRow> {
  return authorize(context, request, (job, caller) => caller === job.key || caller === job.payer)
}

/** The job in the path, if its provider calls. */
export function authorizeProvider(context: SolverContext, request: Request): Promise<JobRow> {
  return authorize(context, request, (job, caller) => caller === job.provider)
}

/** The job in the path, if the requester has signed the link that is called: whoever has it may read that one output. */
export async function authorizeLink(context: SolverContext, request: Request, access: string): Promise<JobRow> {
  const output = { orderHash: digestParameter(request, 'orderHash'), sha256: digestParameter(request, 'sha256') }
  const signer = findLinkSigner(context.domain, output, access, context.clock())
  const job = signer && (await findJob(context, output.orderHash))
  if (job && (signer === job.key || signer === job.payer)) return job
  throw new LilypadError('UNAUTHORIZED', 'The link is not valid, or no longer.', {
    hint: 'ask the requester of the job for a new link',
  })
}
