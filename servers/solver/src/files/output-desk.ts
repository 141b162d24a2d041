import type { Bytes32 } from '@lilypad-agents/protocol'
import { and, eq } from 'drizzle-orm'
import type { SolverContext } from '../context.ts'
import { jobFiles } from '../db/schema.ts'
import type { JobRow } from '../job/job-row.ts'
import { getOutputRoom, recordOutput } from '../job/provider-moves.ts'
import { Turns } from '../job/turns.ts'
import { OutputRoom } from './relay-room.ts'

/** Takes outputs of jobs from their providers, by upload or with the receipt, within the limits of module and provider. */
export class OutputDesk {
  readonly #context: SolverContext
  readonly #uploads = new Turns()
  readonly #room: OutputRoom

  constructor(context: SolverContext) {
    this.#context = context
    this.#room = new OutputRoom(context)
  }

  /**
   * Takes one output, once by its content.
   * @param length what the sender says it will send
   * @returns whether it was read; an output that is here already is not
   */
  async take(job: JobRow, sha256: Bytes32, source: AsyncIterable<Uint8Array>, length: number): Promise<boolean> {
    const { database, jobBlobs } = this.#context
    // One at a time for a job: uploads side by side would each be given the whole room that is left.
    return this.#uploads.inTurn(job.orderHash, async () => {
      const [known] = await database
        .select({ sha256: jobFiles.sha256 })
        .from(jobFiles)
        .where(
          and(eq(jobFiles.orderHash, job.orderHash), eq(jobFiles.direction, 'output'), eq(jobFiles.sha256, sha256)),
        )
      if (known && (await jobBlobs.find(sha256))) return false
      const maxBytes = Math.min(await getOutputRoom(this.#context, job), length)
      await this.#room.within(job, maxBytes, async () => {
        jobBlobs.pin(job.orderHash, [sha256])
        const bytes = await jobBlobs.receive(sha256, source, { maxBytes })
        await recordOutput(this.#context, job.orderHash, { sha256, bytes })
      })
      return true
    })
  }
}
