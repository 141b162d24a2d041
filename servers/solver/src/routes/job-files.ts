import { and, eq } from 'drizzle-orm'
import { type Request, Router } from 'express'
import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import { jobFiles } from '../db/schema.ts'
import { authorizeLink, authorizeProvider, authorizeRequester, digestParameter } from '../http/authorize.ts'
import { sendBlob } from '../http/send-blob.ts'
import type { OutputDesk } from '../files/output-desk.ts'
import type { JobRow } from '../job/job-row.ts'
import { recordInput } from '../job/requester-moves.ts'

type Direction = 'input' | 'output'

/**
 * `PUT` and `GET /jobs/{orderHash}/inputs/{sha256}` and `…/outputs/{sha256}`: requester to provider, and back. `GET` and
 * `HEAD` take ranges, and conditions on the digest as entity tag. An output may also be read by a link, `?access=`.
 */
export function jobFileRoutes(context: SolverContext, outputs: OutputDesk): Router {
  const router = Router()
  const { jobBlobs } = context

  async function findFile(job: JobRow, direction: Direction, sha256: Bytes32) {
    const [file] = await context.database
      .select()
      .from(jobFiles)
      .where(and(eq(jobFiles.orderHash, job.orderHash), eq(jobFiles.direction, direction), eq(jobFiles.sha256, sha256)))
    return file
  }

  async function getPresent(job: JobRow, direction: Direction, request: Request): Promise<Bytes32> {
    const sha256 = digestParameter(request, 'sha256')
    const file = await findFile(job, direction, sha256)
    if (!file?.present) throw fileUnknown(direction)
    if (await jobBlobs.find(sha256)) return sha256
    throw new LilypadError('OUTPUT_UNAVAILABLE', 'The relay no longer keeps this file.', {
      details: [`SHA-256: ${sha256}`],
      hint: 'files stay at the relay for a limited time; ask the other party for it',
      retryable: false,
    })
  }

  router.put('/jobs/:orderHash/inputs/:sha256', async (request, response) => {
    const job = await authorizeRequester(context, request)
    const sha256 = digestParameter(request, 'sha256')
    const file = await findFile(job, 'input', sha256)
    if (!file) throw fileUnknown('input')
    // Only a sender who has the bytes makes the input present. Knowing a digest that somebody else sent is not enough.
    if (!file.present || !(await jobBlobs.find(sha256))) {
      jobBlobs.pin(job.orderHash, [sha256])
      await jobBlobs.receive(sha256, request, { maxBytes: file.bytes, bytes: file.bytes })
      await recordInput(context, job.orderHash, sha256)
    } else request.resume()
    response.status(204).end()
  })

  router.get('/jobs/:orderHash/inputs/:sha256', async (request, response) => {
    await sendBlob(response, jobBlobs, await getPresent(await authorizeProvider(context, request), 'input', request))
  })

  router.put('/jobs/:orderHash/outputs/:sha256', async (request, response) => {
    const job = await authorizeProvider(context, request)
    const sha256 = digestParameter(request, 'sha256')
    if (!(await outputs.take(job, sha256, request, contentLength(request)))) request.resume()
    response.status(204).end()
  })

  router.get('/jobs/:orderHash/outputs/:sha256', async (request, response) => {
    const { access } = request.query
    const job =
      typeof access === 'string'
        ? await authorizeLink(context, request, access)
        : await authorizeRequester(context, request)
    await sendBlob(response, jobBlobs, await getPresent(job, 'output', request))
  })
  return router
}

/** What the sender says it will send; without a bound when it does not say. */
function contentLength(request: Request): number {
  const text = request.headers['content-length']
  return text === undefined ? Number.POSITIVE_INFINITY : Number(text)
}

function fileUnknown(direction: Direction): LilypadError {
  return direction === 'output'
    ? new LilypadError('OUTPUT_UNKNOWN', 'The job has no output with this digest.', {
        hint: 'the delivery names the outputs',
      })
    : new LilypadError('NOT_FOUND', 'The job has no input file with this digest.', {
        hint: 'the inputs of the order name the files',
      })
}
