import { LilypadError } from '@lilypad-agents/protocol'

/** The job has no output of this path. */
export class OutputUnknownError extends LilypadError {
  override readonly name = 'OutputUnknownError'
  constructor(path: string) {
    super('OUTPUT_UNKNOWN', 'The job has no output of this path.', {
      details: [`Path: ${JSON.stringify(path.slice(0, 200))}`],
    })
  }
}
