import type { Bytes32 } from '@lilypad-agents/protocol'
import type { SolverContext } from '../context.ts'
import { getRequest, type JobRow } from '../job/job-row.ts'
import { getOutputRoom, listOutputs, recordOutput } from '../job/provider-moves.ts'
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
      const outputs = await listOutputs(database, job.orderHash)
      if (outputs.has(sha256) && (await jobBlobs.find(sha256))) return false
      const request = await getRequest(this.#context, database, job.orderHash)
      const maxBytes = Math.min(getOutputRoom(this.#context, { job, request, outputs }), length)
      const { maxPrice } = request.order
      await this.#room.within({ provider: job.provider, maxPrice }, maxBytes, async () => {
        jobBlobs.pin(job.orderHash, [sha256])
        const bytes = await jobBlobs.receive(sha256, source, { maxBytes })
        await recordOutput(this.#context, job.orderHash, { sha256, bytes })
      })
      return true
    })
  }
}
