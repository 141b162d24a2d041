import { LilypadError } from '@lilypad-agents/protocol'

/** Codes that tell that the gateway, not its customer, cannot order. */
const ownTrouble: readonly string[] = [
  'INSUFFICIENT_BALANCE',
  'READ_ONLY',
  'GRANT_INVALID',
  'OVER_JOB_LIMIT',
  'OVER_DAY_LIMIT',
  'OVER_TOTAL_LIMIT',
  'MODULE_NOT_ALLOWED',
  'WRONG_CHAIN',
  'SIGNATURE_INVALID',
]
const failedAnswer: readonly string[] = ['JOB_FAILED', 'VERIFICATION_FAILED', 'STREAM_BROKEN', 'DIGEST_MISMATCH']

/** The wallet of the gateway does not let it order. It is nothing the customer could pay or mend. */
export class GatewayCannotOrderError extends LilypadError {
  override readonly name = 'GatewayCannotOrderError'
  constructor(cause: unknown) {
    super('NO_PROVIDER_AVAILABLE', 'The gateway cannot order this job now.', {
      hint: 'try again later; the operator of the gateway has been told why',
      cause,
    })
  }
}

/** The model server does not take the request: its context is too short, or a field is wrong. Its words are quoted. */
export class ModelRefusedError extends LilypadError {
  override readonly name = 'ModelRefusedError'
  constructor(options: { readonly status: string; readonly said: string; readonly cause: unknown }) {
    const { status, said, cause } = options
    super('INVALID_REQUEST', 'The model does not take this request.', {
      details: [`Status: ${status}`, ...(said === '' ? [] : [`It says: ${JSON.stringify(said.slice(0, 500))}`])],
      hint: 'shorten the messages or correct the fields that it names',
      cause,
    })
  }
}

/** Status with which a model server refused a request, if that is what a job failed of. */
export function findRefusal(error: unknown): string | undefined {
  if (!LilypadError.is(error) || error.code !== 'JOB_FAILED') return undefined
  return /the model server refused the request with (4\d\d)|the request was refused/
    .exec(error.details.join(' '))
    ?.map((text) => (/^4\d\d$/.test(text ?? '') ? text : '400'))
    .at(-1)
}

/** An error of placing a job, as the customer of the gateway has to see it. */
export function toOrderError(error: unknown): unknown {
  return LilypadError.is(error) && ownTrouble.includes(error.code) ? new GatewayCannotOrderError(error) : error
}

/** An error of running a job, as the customer has to see it: a provider that fails is a fault on this side. */
export function toAnswerError(error: unknown): unknown {
  if (!LilypadError.is(error) || !failedAnswer.includes(error.code)) return error
  return new LilypadError('UPSTREAM_FAILED', 'The provider did not deliver a usable answer.', {
    details: [`Reason: ${error.shortMessage}`],
    hint: 'ask again; another provider may answer',
    cause: error,
  })
}

/** Whether another provider may be asked: the job never ran. */
export function isNotRun(error: unknown): boolean {
  return LilypadError.is(error) && (error.code === 'JOB_DECLINED' || error.code === 'JOB_EXPIRED')
}
