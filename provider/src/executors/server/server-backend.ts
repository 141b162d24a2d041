import type { Gpu } from '../../gpu/gpu.ts'
import type { Isolation } from '../executor.ts'
import type { ServerSpec } from './server-spec.ts'

/** How a server came to its end. */
export type ServerExit = { readonly isOutOfMemory: boolean }

/** A server that was started, whether or not it answers yet. */
export type StartedServer = {
  /** Folder of this machine in which the server makes `socketName`. */
  readonly socketFolder: string
  readonly exited: Promise<ServerExit>
  /** The last it wrote to its logs. Of a stranger: quote it. */
  tail(): string
  /** Called once it answers: what it writes from now on may be about jobs, and is not kept. */
  onReady(): void
  /** Ends it and removes what it had. Harmless when it has ended. */
  close(): Promise<void>
  readonly isolation: Isolation
}

/** A way to run servers: in containers, or as plain processes of modules that the operator trusts. */
export type ServerBackend = {
  readonly name: 'container' | 'process'
  /** @throws ImageMissingError or ExecutorUnavailableError when the program is not here */
  check(spec: ServerSpec): Promise<void>
  start(spec: ServerSpec, gpus: readonly Gpu[]): Promise<StartedServer>
  /** Removes what killed providers of this node left. */
  sweep(): Promise<void>
}

/** Name of the socket in its folder. */
export const socketName = 'server.sock'
/** Variable that tells the server where to listen. */
export const socketVariable = 'LILYPAD_SOCKET'
