/** What a model server can do wrong with a job, and the words of the receipt for it. */
export const serverFaults = {
  died: 'the model server ended before its reply did',
  http: 'the model server does not speak proper HTTP',
  'content-type': 'the model server answered with another content type than its protocol has',
  json: 'the model server answered with something that is not JSON',
  event: 'the model server sent an event that is not one of its protocol',
  unfinished: 'the model server ended its stream before the reply was whole',
  failed: 'the model server reported a failure in its stream',
  usage: 'the model server reports no use, or more than the request allows',
} as const
export type ServerFault = keyof typeof serverFaults

/** A job that a server could not answer for a reason that lies with the server. */
export class ServerFaultError extends Error {
  override readonly name = 'ServerFaultError'
  readonly fault: ServerFault
  constructor(fault: ServerFault, cause?: unknown) {
    super(serverFaults[fault], { cause })
    this.fault = fault
  }
}
