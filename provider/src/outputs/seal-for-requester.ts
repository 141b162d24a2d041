import { findRecipient } from '@lilypad-agents/protocol'
import { type JobResult, noLogs } from '../receipt/create-delivery.ts'
import { sealOutputs } from './seal-outputs.ts'

/** A run with its outputs on disk, before anything is signed about it. */
export type EndedRun = { readonly result: JobResult; readonly outputDirectory: string }

/**
 * Seals what a run left when its order asks for it; else gives it back as it is. The digests of logs go, too: a relay
 * could compare them with those of what it guesses.
 */
export async function sealForRequester(run: EndedRun, into: string): Promise<EndedRun> {
  const { result, outputDirectory } = run
  const { ended, request } = result
  const recipient = findRecipient(request.inputs)
  if (recipient === undefined || !('outcome' in ended)) return run
  const outputs = await sealOutputs({ recipient, outputs: ended.outputs, from: outputDirectory, into })
  return { result: { ...result, ended: { ...ended, outputs, logs: withheldLogs } }, outputDirectory: into }
}

const withheldLogs = {
  stdout: { ...noLogs.stdout, truncated: true },
  stderr: { ...noLogs.stderr, truncated: true },
}
