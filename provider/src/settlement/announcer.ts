import { LilypadError, settlementHash } from '@lilypad-agents/protocol'
import { toSettlements } from '@lilypad-agents/sdk'
import type { Chain } from '../chain/chain.ts'
import type { Announcement, Journal } from '../journal/journal.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import type { PlannedLane } from './plan-settlement.ts'

export type AnnouncerOptions = {
  readonly journal: Journal
  readonly chain: Chain
  readonly log: Logger
  /** How long a guardian may keep silent before a lane is announced. */
  readonly afterSeconds: number
}

/**
 * Brings lanes to their money whose guardian does not consent: announces them once it has been silent for long enough, and settles what was
 * announced when its time has come. Each call goes on from what journal and chain say, so it can be broken off anywhere.
 */
export class Announcer {
  readonly #options: AnnouncerOptions

  constructor(options: AnnouncerOptions) {
    this.#options = options
  }

  /** Takes the next step for a lane that could not be settled with consent. */
  async advance(lane: PlannedLane): Promise<void> {
    const { log } = this.#options
    const { laneId } = lane
    try {
      const announcement = this.#findAnnouncement(lane)
      if (announcement !== undefined) await this.#advance(lane, announcement)
    } catch (error) {
      if (LilypadError.is(error) && error.retryable) throw error
      log.warn({ event: 'lane.not-announced', laneId, ...failureFacts(error) }, 'the vault refuses the announcement')
    }
  }

  /** What was announced, or is to be now; undefined while the guardian still has time. The bytes are kept before they are sent. */
  #findAnnouncement({ laneId, settlement }: PlannedLane): Announcement | undefined {
    const { journal, afterSeconds } = this.#options
    const settledJobs = settlement.acknowledgement.voucher.jobs - settlement.records.length
    const known = journal.findAnnouncement(laneId)
    if (known?.settledJobs === settledJobs) return known
    // Something of the lane has been paid since, so the guardian was heard, or the announcement did its work.
    if (known !== undefined) journal.forgetUnapproved(laneId)
    const since = journal.noteUnapproved(laneId, seconds())
    if (since + afterSeconds > seconds()) return undefined
    const [packed] = toSettlements([settlement])
    if (packed === undefined) return undefined
    const { provider, solver, token, moduleVersions, lanes } = packed
    const announcement = { settledJobs, settlement: { provider, solver, token, moduleVersions, lanes } }
    journal.saveAnnouncement(laneId, announcement)
    return announcement
  }

  async #advance({ laneId }: PlannedLane, { settlement }: Announcement): Promise<void> {
    const { chain, log } = this.#options
    const hash = settlementHash(settlement)
    const onChain = await chain.findAnnouncement(hash)
    if (onChain === undefined || onChain.now > onChain.expiresAt) {
      const transaction = await chain.announce(settlement)
      await chain.waitForTransaction(transaction)
      const announced = await chain.findAnnouncement(hash)
      log.warn(
        { event: 'lane.announced', laneId, settlementHash: hash, transaction, executableAt: announced?.executableAt },
        'the guardian is silent: the lane is announced',
      )
      return
    }
    if (onChain.now < onChain.executableAt) return
    const transaction = await chain.settleAnnounced(settlement)
    await chain.waitForTransaction(transaction)
    log.info({ event: 'lane.settled-announced', laneId, settlementHash: hash, transaction }, 'announced lane settled')
  }
}

const seconds = () => Math.floor(Date.now() / 1000)
