import type { Bytes32 } from '@lilypad-agents/protocol'

/** A model whose server stays on a GPU between jobs. */
export type ResidentModel = {
  /** Digest under which it is advertised. */
  readonly model: Bytes32
  /** How long it takes to load it again. */
  readonly reloadSeconds: number
  readonly openRequests: number
  /** Unix milliseconds. */
  readonly lastUsedAt: number
  /** Requests, each counted half as much for every half-life that has passed. */
  readonly recentRequests: number
}

const halfLifeMilliseconds = 600_000

function recentRequestsAt({ recentRequests, lastUsedAt }: ResidentModel, now: number): number {
  return recentRequests * 2 ** (-Math.max(0, now - lastUsedAt) / halfLifeMilliseconds)
}

/** The model with one more request open. */
export function withRequest(resident: ResidentModel, now: number): ResidentModel {
  return {
    ...resident,
    openRequests: resident.openRequests + 1,
    recentRequests: recentRequestsAt(resident, now) + 1,
    lastUsedAt: now,
  }
}

/** The model with one request less. */
export function withoutRequest(resident: ResidentModel, now: number): ResidentModel {
  return {
    ...resident,
    openRequests: Math.max(0, resident.openRequests - 1),
    recentRequests: recentRequestsAt(resident, now),
    lastUsedAt: now,
  }
}

/** What giving the model up will cost: seconds of loading, times how often it was asked for lately. */
export function evictionCost(resident: ResidentModel, now: number): number {
  return resident.reloadSeconds * recentRequestsAt(resident, now)
}

/** Order in which idle models leave: the cheapest first, of equals the one that is idle longest. */
export function compareEviction(a: ResidentModel, b: ResidentModel, now: number): number {
  return evictionCost(a, now) - evictionCost(b, now) || a.lastUsedAt - b.lastUsedAt
}
