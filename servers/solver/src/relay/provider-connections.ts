import type {
  Address,
  Bytes32,
  GpuOffers,
  Region,
  SignedAsk,
  SignedAttestation,
  SolverFrame,
} from '@lilypad-agents/protocol'
import { isModelResident } from '@lilypad-agents/protocol'
import type { JobRow } from '../job/job-row.ts'

/** What a provider has signed about its sandbox, with the required checks that did not hold. Its signature was checked. */
export type AttestedSandbox = { readonly attestation: SignedAttestation; readonly missed: readonly string[] }

/** One connected provider. */
export type ProviderConnection = {
  readonly provider: Address
  asks: readonly SignedAsk[]
  gpus: GpuOffers
  region: Region | undefined
  /** Module versions whose servers are ready. */
  resident: ReadonlySet<Bytes32>
  /** Undefined until the provider has said something of it. */
  sandbox: AttestedSandbox | undefined
  /** So much waits for the provider already that more has to wait here. */
  readonly isCongested: boolean
  send(frame: SolverFrame): void
  close(code: number, reason: string): void
}

/** Providers that are connected now, with what they offer. */
export type ProviderConnections = {
  readonly count: number
  isConnected(provider: Address): boolean
  listAsks(): readonly SignedAsk[]
  listProviders(): readonly Address[]
  findRegion(provider: Address): Region | undefined
  /** Whether a provider has the server of a module ready, or its model in the memory of a GPU. */
  isResident(provider: Address, moduleVersion: Bytes32): boolean
  findSandbox(provider: Address): AttestedSandbox | undefined
  /** GPUs of the providers that have some. */
  listGpus(): ReadonlyMap<Address, GpuOffers>
  /** Sends a frame if the provider is connected. */
  send(provider: Address, frame: SolverFrame): boolean
  /** Sends what the provider still has to answer about one job. */
  pushJob(job: JobRow): Promise<void>
  /** Takes the place of an older connection of the same provider, which is closed. */
  add(connection: ProviderConnection): void
  remove(connection: ProviderConnection): void
  /** Who finds and sends pending frames; set once, when the relay starts. */
  onPush(push: (connection: ProviderConnection, job: JobRow) => Promise<void>): void
  closeAll(): void
}

/** Creates the list of connected providers, empty. */
export function createProviderConnections(): ProviderConnections {
  const connections = new Map<Address, ProviderConnection>()
  let push: (connection: ProviderConnection, job: JobRow) => Promise<void> = async () => {}
  return {
    get count() {
      return connections.size
    },
    isConnected: (provider) => connections.has(provider),
    listAsks: () => [...connections.values()].flatMap(({ asks }) => asks),
    findRegion: (provider) => connections.get(provider)?.region,
    isResident(provider, moduleVersion) {
      const connection = connections.get(provider)
      if (!connection) return false
      return connection.resident.has(moduleVersion) || isModelResident(connection.gpus, moduleVersion)
    },
    findSandbox: (provider) => connections.get(provider)?.sandbox,
    listProviders: () => [...connections.keys()],
    listGpus: () =>
      new Map([...connections].flatMap(([provider, { gpus }]) => (gpus.length > 0 ? [[provider, gpus]] : []))),
    send(provider, frame) {
      const connection = connections.get(provider)
      connection?.send(frame)
      return connection !== undefined
    },
    async pushJob(job) {
      const connection = connections.get(job.provider)
      if (connection && !connection.isCongested) await push(connection, job)
    },
    add(connection) {
      connections.get(connection.provider)?.close(4001, 'replaced by a newer connection of this provider')
      connections.set(connection.provider, connection)
    },
    remove(connection) {
      if (connections.get(connection.provider) === connection) connections.delete(connection.provider)
    },
    onPush(handler) {
      push = handler
    },
    closeAll() {
      for (const connection of connections.values()) connection.close(1001, 'the solver is stopping')
      connections.clear()
    },
  }
}
