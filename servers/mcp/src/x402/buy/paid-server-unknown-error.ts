import { LilypadError } from '@lilypad-agents/protocol'
import type { PaidServer } from './paid-server.ts'

/** The owner named no such server. */
export class PaidServerUnknownError extends LilypadError {
  override readonly name = 'PaidServerUnknownError'
  constructor(name: string, known: readonly string[]) {
    super('NOT_FOUND', 'There is no such paid server here.', {
      details: [`Server: ${JSON.stringify(name.slice(0, 80))}   There are: ${known.join(', ')}`],
      hint: 'use one of the servers named; only the user can add another, with --paid-server',
    })
  }
}

/** @throws {@link PaidServerUnknownError} */
export function getPaidServer(servers: readonly PaidServer[], name: string): PaidServer {
  const server = servers.find((known) => known.name === name)
  if (!server)
    throw new PaidServerUnknownError(
      name,
      servers.map((known) => known.name),
    )
  return server
}
