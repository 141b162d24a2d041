import type { Gpu, GpuNeed } from './gpu.ts'
import { findGpuProblem, groupGpus, usableBytes } from './gpu-memory.ts'
import { GpuUnavailableError } from './gpu-unavailable-error.ts'
import { MeasuredPeaks, withMargin } from './measured-peaks.ts'
import { compareEviction, evictionCost, type ResidentModel, withoutRequest, withRequest } from './resident-model.ts'

export type VramRequest = {
  /** What is run, so that its measured peak can stand in for what it declares: the id of the module version. */
  readonly program: string
  readonly need: GpuNeed
  /** Nobody else on the GPUs. For all code of strangers: nothing in hardware stands between two processes of one GPU. */
  readonly isExclusive: boolean
}

/** GPUs that are a job's until it is released. */
export type VramGrant = { readonly id: number; readonly gpus: readonly Gpu[] }

/** What is free of one GPU, in the shape that is advertised; see `GpuOffer` of the protocol. */
export type GpuRoom = Pick<Gpu, 'vendor' | 'name' | 'memoryBytes' | 'computeCapability'> & {
  readonly freeBytes: number
  readonly reclaimableBytes: number
  readonly residentModels: ResidentModel['model'][]
}

type Hold = {
  readonly id: number
  readonly program: string
  readonly gpus: readonly Gpu[]
  readonly isExclusive: boolean
  /** Bytes set aside, by UUID. */
  readonly bytes: Map<string, number>
  /** Most bytes seen in use, by UUID. */
  readonly peaks: Map<string, number>
  resident?: ResidentModel
}

type Waiting = { readonly request: VramRequest; readonly give: (grant: VramGrant) => void }

/**
 * Keeps account of the memory of every GPU. A request is granted only when what it needs is free beside all that was
 * granted before and a reserve for the driver; otherwise it waits or is refused, so that memory is never promised twice.
 * What is granted is a promise of ours, not a wall of the hardware's: a run seen to take more than its own has to be stopped.
 */
export class VramLedger {
  readonly gpus: readonly Gpu[]
  readonly #holds = new Map<number, Hold>()
  readonly #foreign = new Map<string, number>()
  readonly #peaks = new MeasuredPeaks()
  readonly #waiting: Waiting[] = []
  #grants = 0
  #onWaiting = () => {}

  constructor(gpus: readonly Gpu[]) {
    // Two entries of one card would be two accounts of the same memory.
    this.gpus = [...new Map(gpus.map((gpu) => [gpu.uuid, gpu])).values()]
  }

  /** Bytes of a GPU that a further run could share. */
  freeBytes(gpu: Gpu): number {
    return this.#freeBytes(gpu, this.#holdsOn(gpu))
  }

  /** Grants GPUs now, those with the least room to spare, or answers undefined: there is no room, or others wait for it. */
  reserve(request: VramRequest): VramGrant | undefined {
    return this.#waiting.length > 0 ? undefined : this.#reserve(request)
  }

  /** Grants GPUs to a model server that stays, and is advertised and evicted by what loading it again costs. */
  reserveResident(
    request: VramRequest & Pick<ResidentModel, 'model' | 'reloadSeconds'>,
    now: number,
  ): VramGrant | undefined {
    if (this.#waiting.length > 0) return undefined
    const { model, reloadSeconds } = request
    // It is loaded for somebody: counted as a request, or it would be the first to leave before it has answered any.
    return this.#reserve(request, { model, reloadSeconds, openRequests: 0, lastUsedAt: now, recentRequests: 1 })
  }

  /**
   * Waits for GPUs in the order of asking, so that a job for many is not overtaken for ever by jobs for one. Resolves to
   * undefined when the signal aborts.
   * @throws {@link GpuUnavailableError} when this machine can never grant it
   */
  async acquire(request: VramRequest, signal: AbortSignal): Promise<VramGrant | undefined> {
    const problem = findGpuProblem(request.need, this.gpus)
    if (problem !== undefined) throw new GpuUnavailableError(problem)
    if (signal.aborted) return undefined
    return new Promise((resolve) => {
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        resolve(undefined)
        this.#serve()
      }
      const waiting: Waiting = {
        request,
        give: (grant) => {
          signal.removeEventListener('abort', leave)
          resolve(grant)
        },
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(waiting)
      this.#serve()
      if (this.#waiting.includes(waiting)) this.#onWaiting()
    })
  }

  /** Calls back when somebody begins to wait for GPUs: idle model servers should then make room. */
  onWaiting(call: () => void): void {
    this.#onWaiting = call
  }

  /** Idle model servers that have to leave for the one who waits longest. */
  planForWaiting(now: number): readonly number[] {
    const [first] = this.#waiting
    return first === undefined ? [] : (this.planEviction(first.request, now) ?? [])
  }

  /** Frees what was granted, and remembers what was measured of it. Harmless for what was released already. */
  release(id: number): void {
    const hold = this.#holds.get(id)
    if (hold === undefined || !this.#holds.delete(id)) return
    for (const { uuid, name } of hold.gpus) {
      const peak = hold.peaks.get(uuid)
      if (peak !== undefined) this.#peaks.add(hold.program, name, peak)
    }
    this.#serve()
  }

  /** Notes what a run has in use. `over` means that it took more than it was granted and has to be stopped: others were promised the rest. */
  measure(id: number, uuid: string, usedBytes: number): 'within' | 'over' {
    const hold = this.#holds.get(id)
    const granted = hold?.bytes.get(uuid)
    if (hold === undefined || granted === undefined) return 'within'
    hold.peaks.set(uuid, Math.max(usedBytes, hold.peaks.get(uuid) ?? 0))
    if (usedBytes <= granted) return 'within'
    // It is gone, whoever was promised it; nobody else is promised it now.
    hold.bytes.set(uuid, usedBytes)
    return 'over'
  }

  /** Gives back what a model server was granted beyond its measured peak, once it is loaded and has answered. */
  shrinkToPeak(id: number): void {
    const hold = this.#holds.get(id)
    if (hold === undefined || hold.isExclusive) return
    for (const [uuid, peak] of hold.peaks) hold.bytes.set(uuid, Math.min(withMargin(peak), hold.bytes.get(uuid) ?? 0))
    this.#serve()
  }

  /** Notes memory that programs of the machine's owner have in use on a GPU. */
  observeForeign(uuid: string, usedBytes: number): void {
    this.#foreign.set(uuid, usedBytes)
    this.#serve()
  }

  beginRequest(id: number, now: number): void {
    const hold = this.#holds.get(id)
    if (hold?.resident) hold.resident = withRequest(hold.resident, now)
  }

  endRequest(id: number, now: number): void {
    const hold = this.#holds.get(id)
    if (hold?.resident) hold.resident = withoutRequest(hold.resident, now)
  }

  /** Idle model servers in the order in which they leave. */
  listEvictable(now: number): readonly number[] {
    return this.#idle(now).map(({ id }) => id)
  }

  /**
   * Model servers that have to be stopped and released for a request to be granted, the cheapest choice; empty when it
   * can be granted now, undefined when no eviction helps.
   */
  planEviction(request: VramRequest, now: number): readonly number[] | undefined {
    const idle = this.#idle(now)
    let best: { readonly cost: number; readonly ids: readonly number[] } | undefined
    for (const group of groupGpus(this.gpus, request.need)) {
      const plans = group.flatMap((gpu) => {
        const leaving = this.#leavingFor(gpu, request, idle)
        if (leaving === undefined) return []
        return [{ leaving, cost: costOf(leaving, now) }]
      })
      if (plans.length < request.need.count) continue
      const chosen = plans.sort((a, b) => a.cost - b.cost || a.leaving.length - b.leaving.length)
      const leaving = new Set(chosen.slice(0, request.need.count).flatMap((plan) => plan.leaving))
      const cost = costOf([...leaving], now)
      if (best === undefined || cost < best.cost || (cost === best.cost && leaving.size < best.ids.length))
        best = { cost, ids: [...leaving].map(({ id }) => id) }
    }
    return best?.ids
  }

  /** What each GPU has free for runs that want it for themselves, or for runs that share. */
  listRooms({ isExclusive }: { readonly isExclusive: boolean }): GpuRoom[] {
    return this.gpus.map((gpu) => {
      const holds = this.#holdsOn(gpu)
      const staying = holds.filter(({ resident }) => resident === undefined || resident.openRequests > 0)
      const room = (beside: readonly Hold[]) => (isExclusive && beside.length > 0 ? 0 : this.#freeBytes(gpu, beside))
      const { vendor, name, memoryBytes, computeCapability } = gpu
      return {
        vendor,
        name,
        memoryBytes,
        ...(computeCapability === undefined ? {} : { computeCapability }),
        freeBytes: room(holds),
        reclaimableBytes: room(staying) - room(holds),
        residentModels: [...new Set(holds.flatMap(({ resident }) => (resident ? [resident.model] : [])))],
      }
    })
  }

  #reserve(request: VramRequest, resident?: ResidentModel): VramGrant | undefined {
    const gpus = this.#choose(request)
    if (gpus === undefined) return undefined
    this.#grants += 1
    const { program, isExclusive } = request
    const bytes = gpus.map((gpu): [string, number] => [
      gpu.uuid,
      isExclusive ? this.#capacity(gpu) : this.#bytesNeeded(request, gpu),
    ])
    const hold: Hold = { id: this.#grants, program, gpus, isExclusive, bytes: new Map(bytes), peaks: new Map() }
    this.#holds.set(hold.id, resident === undefined ? hold : { ...hold, resident })
    return { id: hold.id, gpus }
  }

  /** The GPUs that lose least by the request: large holes stay for large jobs. */
  #choose(request: VramRequest): readonly Gpu[] | undefined {
    const { count } = request.need
    let best: { readonly left: number; readonly gpus: readonly Gpu[] } | undefined
    for (const group of groupGpus(this.gpus, request.need)) {
      const fit = group
        .filter((gpu) => this.#canTake(gpu, request, this.#holdsOn(gpu)))
        .map((gpu) => ({ gpu, free: this.freeBytes(gpu) }))
        .sort((a, b) => a.free - b.free)
        .slice(0, count)
      if (fit.length < count) continue
      const left = fit.reduce((sum, { free }) => sum + free, 0)
      if (best === undefined || left < best.left) best = { left, gpus: fit.map(({ gpu }) => gpu) }
    }
    return best?.gpus
  }

  #canTake(gpu: Gpu, request: VramRequest, beside: readonly Hold[]): boolean {
    if (request.isExclusive && beside.length > 0) return false
    return this.#freeBytes(gpu, beside) >= this.#bytesNeeded(request, gpu)
  }

  #bytesNeeded({ program, need }: VramRequest, gpu: Gpu): number {
    const expected = this.#peaks.expected(program, gpu.name, need.memoryBytes)
    // A program that was seen to take too much gets a whole GPU at most; otherwise it would wait, and keep others waiting, for ever.
    return Math.min(expected, Math.max(need.memoryBytes, usableBytes(gpu)))
  }

  #capacity(gpu: Gpu): number {
    return Math.max(0, usableBytes(gpu) - (this.#foreign.get(gpu.uuid) ?? 0))
  }

  #freeBytes(gpu: Gpu, beside: readonly Hold[]): number {
    if (beside.some(({ isExclusive }) => isExclusive)) return 0
    const held = beside.reduce((sum, { bytes }) => sum + (bytes.get(gpu.uuid) ?? 0), 0)
    return Math.max(0, this.#capacity(gpu) - held)
  }

  #holdsOn({ uuid }: Gpu): readonly Hold[] {
    return [...this.#holds.values()].filter(({ bytes }) => bytes.has(uuid))
  }

  #idle(now: number): readonly (Hold & { readonly resident: ResidentModel })[] {
    return [...this.#holds.values()]
      .flatMap((hold) => (hold.resident?.openRequests === 0 ? [{ ...hold, resident: hold.resident }] : []))
      .sort((a, b) => compareEviction(a.resident, b.resident, now))
  }

  /** The fewest idle servers of one GPU, from the cheapest on, whose leaving makes room. */
  #leavingFor<H extends Hold>(gpu: Gpu, request: VramRequest, idle: readonly H[]): readonly H[] | undefined {
    const here = idle.filter(({ bytes }) => bytes.has(gpu.uuid))
    for (let leaving = 0; leaving <= here.length; leaving += 1) {
      const gone = new Set(here.slice(0, leaving).map(({ id }) => id))
      const beside = this.#holdsOn(gpu).filter(({ id }) => !gone.has(id))
      if (this.#canTake(gpu, request, beside)) return here.slice(0, leaving)
    }
    return undefined
  }

  /** Grants to those who wait, in their order, until one has to wait on. */
  #serve(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const grant = this.#reserve(first.request)
      if (grant === undefined) return
      this.#waiting.shift()
      first.give(grant)
    }
  }
}

function costOf(leaving: readonly { readonly resident?: ResidentModel }[], now: number): number {
  return leaving.reduce((sum, { resident }) => sum + (resident === undefined ? 0 : evictionCost(resident, now)), 0)
}
