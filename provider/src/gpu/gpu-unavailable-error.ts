import { LilypadError } from '@lilypad-agents/protocol'

/** The machine, its driver or its engine cannot give a job the GPUs it needs. */
export class GpuUnavailableError extends LilypadError {
  override readonly name = 'GpuUnavailableError'
  readonly reason: string
  constructor(reason: string, options: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super('EXECUTOR_UNAVAILABLE', 'The GPU that the module needs cannot be had here.', {
      retryable: false,
      details: [`Reason: ${reason}`],
      ...options,
    })
    this.reason = reason
  }
}
