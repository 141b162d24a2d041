import { Router } from 'express'
import { type Bytes32, LilypadError } from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import { pinPrograms } from '../files/keep-files.ts'
import { digestParameter } from '../http/authorize.ts'
import { sendBlob } from '../http/send-blob.ts'

/** `PUT` and `GET /artifacts/{sha256}`: programs that published modules run. Anybody may read them, and send those that are named. */
export function artifactRoutes(context: SolverContext): Router {
  const router = Router()
  const { artifacts, catalog } = context

  /** Anybody can publish modules; nobody fills the disk with them. */
  function assertAuthorRoom(sha256: Bytes32, bytes: number): void {
    const programs = catalog.listPrograms()
    const author = programs.find((program) => program.sha256 === sha256)?.author
    const kept = programs
      .filter((program) => program.author === author && !program.isWithdrawn)
      .reduce((sum, program) => sum + (artifacts.sizeOf(program.sha256) ?? 0), 0)
    if (kept + bytes <= context.rules.authorBytes) return
    throw new LilypadError('STORAGE_FULL', 'The relay keeps no more programs of this author.', {
      details: [`Expected: at most ${context.rules.authorBytes} bytes   Kept: ${kept}   Asked: ${bytes}`],
      hint: 'withdraw versions that nobody needs, or serve the program from another solver',
      retryable: false,
    })
  }

  router.put('/artifacts/:sha256', async (request, response) => {
    const sha256 = digestParameter(request, 'sha256')
    const bytes = catalog.findProgramBytes(sha256)
    if (bytes === undefined) {
      throw new LilypadError('NOT_FOUND', 'No published module runs a program with this digest.', {
        hint: 'publish the module first',
      })
    }
    if (!(await artifacts.find(sha256))) {
      assertAuthorRoom(sha256, bytes)
      pinPrograms(context)
      await artifacts.receive(sha256, request, { maxBytes: bytes, bytes })
    } else request.resume()
    response.status(204).end()
  })

  router.get('/artifacts/:sha256', async (request, response) => {
    const sha256 = digestParameter(request, 'sha256')
    if (!(await artifacts.find(sha256))) throw new LilypadError('NOT_FOUND', 'There is no program with this digest.')
    response.setHeader('cache-control', 'public, max-age=31536000, immutable')
    await sendBlob(response, artifacts, sha256)
  })
  return router
}
