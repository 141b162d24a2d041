import { setTimeout as sleep } from 'node:timers/promises'
import type { Bytes32 } from '@lilypad-agents/protocol'
import { compareEviction, type ResidentModel, withoutRequest, withRequest } from '../../gpu/resident-model.ts'
import type { Gpu } from '../../gpu/gpu.ts'
import type { VramGrant } from '../../gpu/vram-ledger.ts'
import { ExecutorClosedError, ExecutorUnavailableError } from '../errors.ts'
import type { RunningServer } from './running-server.ts'
import type { ServerSpec } from './server-spec.ts'

/** GPUs for servers; `VramLedger` of the provider. */
export type GpuAccount = {
  /** Undefined while there is no room. `evict` names grants whose servers have to go first. */
  reserve(spec: ServerSpec, reloadSeconds: number): VramGrant | { readonly evict: readonly number[] } | undefined
  release(id: number): void
  /** Grants of idle servers that jobs are waiting for. */
  listWanted(): readonly number[]
  beginRequest(id: number): void
  endRequest(id: number): void
}

export type ServerPoolOptions = {
  /** Rejects when the server does not become ready. */
  readonly start: (
    spec: ServerSpec,
    options: { readonly gpus: readonly Gpu[]; readonly signal: AbortSignal },
  ) => Promise<RunningServer>
  /** Sum of the memory limits of all servers. */
  readonly maxMemoryBytes: number
  /** Servers of one module at the same time. */
  readonly maxReplicas: number
  readonly gpus?: GpuAccount
  /** Pause after the first crash of a server; twice as long after each further one. @default 500 */
  readonly firstRestMilliseconds?: number
  /** How often an idle server is asked whether it is well. @default 10000 */
  readonly healthMilliseconds?: number
}

/** A place at a server. Give it back once, when the request has ended. */
export type Lease = {
  readonly server: RunningServer
  /** `isSuspect`: the server did something wrong, and is asked whether it is well before it gets another request. */
  release(options?: { readonly isSuspect?: boolean }): void
}

/** A server as a status page shows it. */
export type ServerStatus = {
  readonly moduleVersion: Bytes32
  readonly state: Replica['state']
  readonly openRequests: number
  readonly memoryBytes: number
}

type Waiter = { readonly give: (lease: Lease) => void; readonly fail: (error: unknown) => void }
type Group = {
  readonly spec: ServerSpec
  readonly replicas: Set<Replica>
  /** First come, first served. */
  readonly waiting: Waiter[]
  /** Starts and lives in a row that ended without an answer to anybody. */
  failures: number
  /** No start before. */
  restsUntil: number
  timer: NodeJS.Timeout | undefined
  isKept: boolean
}
type Replica = {
  readonly group: Group
  readonly stop: AbortController
  state: 'starting' | 'ready' | 'suspect' | 'stopping'
  server: RunningServer | undefined
  use: ResidentModel
  idleTimer: NodeJS.Timeout | undefined
  grant: VramGrant | undefined
  gone: Promise<void>
}

const longestRestMilliseconds = 30_000
const maxStartFailures = 3
const gpuRetryMilliseconds = 1000
const unhealthyLooks = 3
const examinePauseMilliseconds = 100
/** What reloading is thought to cost before it was measured. */
const firstReloadSeconds = 10

/**
 * Keeps model servers between jobs: starts one when the first job comes, routes jobs to the one with the fewest, lets
 * them wait in line where all are busy, and stops those that are idle for long or have to make room for others. A server
 * that dies is started again, after a pause that doubles.
 */
export class ServerPool {
  readonly #options: ServerPoolOptions
  readonly #groups = new Map<string, Group>()
  #isClosed = false

  constructor(options: ServerPoolOptions) {
    this.#options = options
  }

  /**
   * Waits for a place at a server. Resolves to undefined when the signal aborts first.
   * @throws ServerStartError when it does not come up again and again, ExecutorUnavailableError when it never can
   */
  acquire(spec: ServerSpec, signal: AbortSignal): Promise<Lease | undefined> {
    if (this.#isClosed) throw new ExecutorClosedError('server')
    if (signal.aborted) return Promise.resolve(undefined)
    const group = this.#groupOf(spec)
    return new Promise((resolve, reject) => {
      const leave = () => {
        group.waiting.splice(group.waiting.indexOf(waiter), 1)
        resolve(undefined)
      }
      const waiter: Waiter = {
        give: (lease) => {
          signal.removeEventListener('abort', leave)
          resolve(lease)
        },
        fail: (error) => {
          signal.removeEventListener('abort', leave)
          reject(error)
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      group.waiting.push(waiter)
      this.#pump(group)
    })
  }

  /** Starts a server ahead and keeps it however long nobody asks for it. */
  keep(spec: ServerSpec): void {
    const group = this.#groupOf(spec)
    group.isKept = true
    this.#pump(group)
  }

  list(): readonly ServerStatus[] {
    return [...this.#groups.values()].flatMap(({ spec, replicas }) =>
      [...replicas].map(({ state, use }) => ({
        moduleVersion: spec.moduleVersion,
        state,
        openRequests: use.openRequests,
        memoryBytes: spec.limits.memoryBytes,
      })),
    )
  }

  /** Stops idle servers whose GPUs somebody waits for. */
  yieldGpus(): void {
    const wanted = this.#options.gpus?.listWanted() ?? []
    for (const replica of this.#all()) if (replica.grant && wanted.includes(replica.grant.id)) this.#stop(replica)
  }

  /** Jobs that wait for a server. */
  get waiting(): number {
    return [...this.#groups.values()].reduce((sum, { waiting }) => sum + waiting.length, 0)
  }

  /** Stops all servers, also busy ones. */
  async close(): Promise<void> {
    this.#isClosed = true
    const replicas = [...this.#groups.values()].flatMap((group) => {
      clearTimeout(group.timer)
      for (const waiter of group.waiting.splice(0)) waiter.fail(new ExecutorClosedError('server'))
      return [...group.replicas]
    })
    for (const replica of replicas) this.#stop(replica)
    await Promise.all(replicas.map(({ gone }) => gone))
  }

  #groupOf(spec: ServerSpec): Group {
    const known = this.#groups.get(spec.key)
    if (known !== undefined) return known
    const group: Group = {
      spec,
      replicas: new Set(),
      waiting: [],
      failures: 0,
      restsUntil: 0,
      timer: undefined,
      isKept: false,
    }
    this.#groups.set(spec.key, group)
    return group
  }

  /** Gives places to those who wait, and starts a server where there are too few. */
  #pump(group: Group): void {
    if (this.#isClosed) return
    const { concurrency } = group.spec.server
    while (group.waiting.length > 0) {
      const [free] = [...group.replicas]
        .filter(({ state, use }) => state === 'ready' && use.openRequests < concurrency)
        .sort((a, b) => a.use.openRequests - b.use.openRequests)
      if (free === undefined) break
      group.waiting.shift()?.give(this.#lease(free))
    }
    const coming = [...group.replicas].filter(({ state }) => state === 'starting' || state === 'suspect').length
    const isWanted = group.waiting.length > coming * concurrency || (group.isKept && group.replicas.size === 0)
    if (isWanted && group.replicas.size < this.#options.maxReplicas) this.#tryStart(group)
  }

  #lease(replica: Replica): Lease {
    const { server, group } = replica
    if (server === undefined) throw new TypeError('a server that is not ready was given away')
    clearTimeout(replica.idleTimer)
    replica.use = withRequest(replica.use, Date.now())
    if (replica.grant) this.#options.gpus?.beginRequest(replica.grant.id)
    let isReleased = false
    return {
      server,
      release: ({ isSuspect = false } = {}) => {
        if (isReleased) return
        isReleased = true
        replica.use = withoutRequest(replica.use, Date.now())
        if (replica.grant) this.#options.gpus?.endRequest(replica.grant.id)
        if (isSuspect) void this.#examine(replica)
        else group.failures = 0
        this.#rest(replica)
        this.yieldGpus()
        // Room may have come for others, too, now that this one can be stopped.
        this.#pumpAll()
      },
    }
  }

  /** Stops an idle server after its time. */
  #rest(replica: Replica): void {
    const { group, use, state } = replica
    if (state !== 'ready' || use.openRequests > 0 || group.isKept) return
    clearTimeout(replica.idleTimer)
    replica.idleTimer = setTimeout(() => this.#stop(replica), group.spec.server.idleSeconds * 1000)
  }

  /**
   * Asks a server that did something wrong whether it is well. While it answers others it may have no time to say so: it gets no more
   * requests then, and is not ended before they are. Else one requester, by cancelling, could end the jobs of all.
   */
  async #examine(replica: Replica): Promise<void> {
    if (replica.state !== 'ready' || replica.server === undefined) return
    replica.state = 'suspect'
    while (!(await replica.server.isHealthy())) {
      if (replica.state !== 'suspect') return
      if (replica.use.openRequests === 0) return this.#fail(replica)
      await sleep(examinePauseMilliseconds)
    }
    if (replica.state !== 'suspect') return
    replica.state = 'ready'
    this.#rest(replica)
    this.#pump(replica.group)
  }

  #tryStart(group: Group): void {
    const { spec } = group
    const { limits } = spec
    clearTimeout(group.timer)
    const rest = group.restsUntil - Date.now()
    if (rest > 0) {
      group.timer = setTimeout(() => this.#pump(group), rest)
      return
    }
    const { maxMemoryBytes } = this.#options
    if (limits.memoryBytes > maxMemoryBytes) {
      this.#refuse(
        group,
        `the server may use ${limits.memoryBytes} bytes of memory, all servers together ${maxMemoryBytes}`,
      )
      return
    }
    if (!this.#makeRoom(limits.memoryBytes)) return
    let grant: VramGrant | undefined
    if (limits.gpu !== undefined) {
      if (this.#options.gpus === undefined) {
        this.#refuse(group, 'no GPU is known here')
        return
      }
      const answer = this.#options.gpus.reserve(spec, this.#reloadSeconds(group))
      if (answer === undefined || 'evict' in answer) {
        for (const replica of this.#all()) if (answer?.evict.includes(replica.grant?.id ?? -1)) this.#stop(replica)
        // Jobs may hold the GPUs, whose end nobody tells here.
        group.timer = setTimeout(() => this.#pump(group), gpuRetryMilliseconds)
        return
      }
      grant = answer
    }
    this.#start(group, grant)
  }

  #start(group: Group, grant: VramGrant | undefined): void {
    const replica: Replica = {
      group,
      stop: new AbortController(),
      state: 'starting',
      server: undefined,
      use: {
        model: group.spec.moduleVersion,
        reloadSeconds: this.#reloadSeconds(group),
        openRequests: 0,
        lastUsedAt: Date.now(),
        recentRequests: 1,
      },
      idleTimer: undefined,
      grant,
      gone: Promise.resolve(),
    }
    group.replicas.add(replica)
    replica.gone = this.#live(replica).finally(() => {
      clearTimeout(replica.idleTimer)
      if (grant) this.#options.gpus?.release(grant.id)
      group.replicas.delete(replica)
      this.#pumpAll()
    })
  }

  /** The life of a server from its start to its end. Never rejects. */
  async #live(replica: Replica): Promise<void> {
    const { group, stop, grant } = replica
    const begun = performance.now()
    let server: RunningServer
    try {
      server = await this.#options.start(group.spec, { gpus: grant?.gpus ?? [], signal: stop.signal })
    } catch (error) {
      if (!stop.signal.aborted) this.#countFailure(group, error)
      return
    }
    replica.server = server
    replica.use = { ...replica.use, reloadSeconds: (performance.now() - begun) / 1000, lastUsedAt: Date.now() }
    const stopped = new Promise<'stopped'>((resolve) => {
      if (stop.signal.aborted) resolve('stopped')
      stop.signal.addEventListener('abort', () => resolve('stopped'), { once: true })
    })
    const watch = setInterval(() => void this.#look(replica), this.#options.healthMilliseconds ?? 10_000)
    if (!stop.signal.aborted) {
      replica.state = 'ready'
      this.#rest(replica)
      this.#pump(group)
    }
    const end = await Promise.race([stopped, server.exited.then(() => 'exited' as const)])
    clearInterval(watch)
    if (end === 'exited') this.#countFailure(group, undefined)
    replica.state = 'stopping'
    await server.close().catch(() => {})
  }

  readonly #badLooks = new WeakMap<Replica, number>()

  /** Looks at an idle server. A busy one may have no time to answer, and its jobs have limits of their own. */
  async #look(replica: Replica): Promise<void> {
    if (replica.state !== 'ready' || replica.use.openRequests > 0) return
    const isWell = (await replica.server?.isHealthy()) ?? false
    const looks = isWell || replica.use.openRequests > 0 ? 0 : (this.#badLooks.get(replica) ?? 0) + 1
    this.#badLooks.set(replica, looks)
    if (looks >= unhealthyLooks && replica.state === 'ready') this.#fail(replica)
  }

  /** Ends a server that is not well. */
  #fail(replica: Replica): void {
    this.#countFailure(replica.group, undefined)
    this.#stop(replica)
  }

  #countFailure(group: Group, error: unknown): void {
    const { firstRestMilliseconds = 500 } = this.#options
    group.failures += 1
    group.restsUntil =
      Date.now() + Math.min(firstRestMilliseconds * 2 ** Math.min(group.failures - 1, 16), longestRestMilliseconds)
    if (error === undefined || group.failures < maxStartFailures) return
    // Those who wait would wait for ever; whoever comes later makes it try again.
    for (const waiter of group.waiting.splice(0)) waiter.fail(error)
  }

  #refuse(group: Group, reason: string): void {
    for (const waiter of group.waiting.splice(0)) waiter.fail(new ExecutorUnavailableError('server', reason))
  }

  /** Whether there is memory for one more server. Stops idle ones, those first that cost least to load again. */
  #makeRoom(bytes: number): boolean {
    const all = this.#all()
    const used = all.reduce((sum, { group }) => sum + group.spec.limits.memoryBytes, 0)
    let missing = used + bytes - this.#options.maxMemoryBytes
    if (missing <= 0) return true
    const now = Date.now()
    // Those that are being stopped have their memory until they are gone, and are waited for.
    for (const { state, group } of all) if (state === 'stopping') missing -= group.spec.limits.memoryBytes
    const idle = all
      .filter(({ state, use, group }) => state === 'ready' && use.openRequests === 0 && group.waiting.length === 0)
      .sort((a, b) => Number(a.group.isKept) - Number(b.group.isKept) || compareEviction(a.use, b.use, now))
    for (const replica of idle) {
      if (missing <= 0) break
      missing -= replica.group.spec.limits.memoryBytes
      this.#stop(replica)
    }
    return false
  }

  #reloadSeconds({ replicas }: Group): number {
    const [known] = [...replicas].filter(({ server }) => server !== undefined)
    return known?.use.reloadSeconds ?? firstReloadSeconds
  }

  #stop(replica: Replica): void {
    if (replica.state === 'stopping') return
    replica.state = 'stopping'
    clearTimeout(replica.idleTimer)
    replica.stop.abort()
  }

  #all(): readonly Replica[] {
    return [...this.#groups.values()].flatMap(({ replicas }) => [...replicas])
  }

  #pumpAll(): void {
    for (const group of this.#groups.values()) this.#pump(group)
  }
}
