import { LilypadError } from '@lilypad-agents/protocol'

/** The executor was closed before the call. */
export class ExecutorClosedError extends LilypadError {
  override readonly name = 'ExecutorClosedError'
  constructor(executor: string) {
    super('EXECUTOR_UNAVAILABLE', 'The executor is closed.', { details: [`Executor: ${executor}`] })
  }
}

/** The executor cannot work on this machine or with this kind of program. */
export class ExecutorUnavailableError extends LilypadError {
  override readonly name = 'ExecutorUnavailableError'
  readonly reason: string
  constructor(executor: string, reason: string, cause?: unknown) {
    super('EXECUTOR_UNAVAILABLE', 'The executor cannot run this program here.', {
      details: [`Executor: ${executor}`, `Reason: ${reason}`],
      cause,
    })
    this.reason = reason
  }
}

/** Making the program ready costs more than any program is worth. Trying again would cost it again. */
export class ProgramTooCostlyError extends LilypadError {
  override readonly name = 'ProgramTooCostlyError'
  constructor(executor: string, reason: string) {
    super('EXECUTOR_UNAVAILABLE', 'The program is too costly to make ready.', {
      retryable: false,
      details: [`Executor: ${executor}`, `Reason: ${reason}`],
    })
  }
}

/** The program file is not the one the module names. */
export class ProgramMismatchError extends LilypadError {
  override readonly name = 'ProgramMismatchError'
  constructor(expected: string, actual: string) {
    super('DIGEST_MISMATCH', 'The program is not the one the module names.', {
      details: [`Expected: ${expected}   Actual: ${actual}`],
      hint: 'fetch the program again; the stored copy is damaged or belongs to another module',
    })
  }
}

/** The engine does not have the image the module names. */
export class ImageMissingError extends LilypadError {
  override readonly name = 'ImageMissingError'
  constructor(digest: string, reference: string, cause?: unknown) {
    super('EXECUTOR_UNAVAILABLE', 'The image of the module is not on this machine.', {
      retryable: false,
      details: [`Expected: ${digest}`, `Reference: ${reference}`],
      hint: 'build or load the image, then check its id with `docker image inspect`',
      cause,
    })
  }
}

/** An input file changed between being measured and being handed to the program. */
export class InputChangedError extends LilypadError {
  override readonly name = 'InputChangedError'
  constructor() {
    super('EXECUTOR_UNAVAILABLE', 'An input file changed while the job was started.', {
      hint: 'inputs come from the content store, which never changes a file; check who writes to it',
    })
  }
}
