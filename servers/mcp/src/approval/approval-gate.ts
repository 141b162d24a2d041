import { setTimeout as sleep } from 'node:timers/promises'
import type { LilypadError } from '@lilypad-agents/protocol'
import {
  ApprovalDeclinedError,
  ApprovalExpiredError,
  ApprovalInvalidError,
  ApprovalRequiredError,
  type ApprovalWay,
  type ClientStore,
  type Network,
  type StoredApproval,
} from '@lilypad-agents/sdk'
import { type InputRequiredResult, inputRequired, inputResponse } from '@modelcontextprotocol/server'
import { withToken } from '../money/token.ts'
import { ownCommand } from '../commands/own-command.ts'
import type { McpConfig } from '../config/config.ts'
import type { ApprovalMode } from '../config/policy.ts'
import type { Asking } from './asking.ts'
import { type ApprovalFacts, factsText } from './approval-facts.ts'
import type { ApprovalPage } from './approval-page.ts'
import { createApprovalSeal } from './approval-state.ts'
import { decide } from './decide.ts'

/** How long a person may take, in seconds; never longer than the quote lasts. */
const longestSeconds = 600
const pageWaitMilliseconds = 25_000
const pagePollMilliseconds = 250
const question = 'approval'
const runAgain = 'call lilypad_run_job with the same quote_id'

/** Asks a person before money is signed away, and keeps what they said. */
export type ApprovalGate = {
  /**
   * Asks about an order that needs a person's word.
   * @returns the question to send to the client; undefined when the word is kept now and the order can be signed
   * @throws ApprovalRequiredError ApprovalDeclinedError ApprovalExpiredError ApprovalInvalidError
   */
  ask(
    facts: ApprovalFacts,
    about: { readonly approval: StoredApproval | undefined; readonly left: bigint; readonly asking: Asking },
  ): Promise<InputRequiredResult | undefined>
  close(): Promise<void>
}

/** Makes the gate of a server. */
export function createApprovalGate(options: {
  readonly config: Pick<McpConfig, 'stateDirectory' | 'networkFile' | 'launch' | 'principal'> & {
    readonly approval?: ApprovalMode
  }
  readonly network: Network
  readonly store: ClientStore
}): ApprovalGate {
  const { config, network, store } = options
  const { approval: mode = 'elicit', principal = 'local' } = config
  const { seal, open } = createApprovalSeal(config.stateDirectory, `${network.chainId} ${network.contracts.jobVault}`)
  let page: Promise<ApprovalPage> | undefined

  const openPage = () => {
    // Node's HTTP modules are loaded only when a page is wanted.
    page ??= import('./approval-page.ts').then(({ startApprovalPage }) => startApprovalPage())
    return page
  }
  const keep = (facts: ApprovalFacts, isApproved: boolean, way: ApprovalWay) =>
    decide(store, { id: facts.id, maxPrice: facts.maxPrice, isApproved, way, validUntil: facts.validUntil })

  /** What is asked, so that other processes and the terminal see it. */
  const want = ({ id, maxPrice, validUntil }: ApprovalFacts, left: bigint) =>
    store.transaction((transaction) => {
      const wantedAt = Math.floor(Date.now() / 1000)
      const known = transaction.findApproval(id)
      if (known && known.state !== 'wanted') return
      const wanted: StoredApproval = {
        id,
        maxPrice,
        state: 'wanted',
        way: null,
        wantedAt,
        left,
        decidedAt: null,
        validUntil,
      }
      transaction.putApproval(wanted)
    })

  const required = ({ id, maxPrice, again = runAgain }: ApprovalFacts): LilypadError =>
    new ApprovalRequiredError({
      id,
      maxPrice,
      how: `ask the user to run \`${ownCommand(config, 'approve', id)}\` in a terminal, then ${again}`,
    })

  /** Opens what came back, which must be about this very order, in time, and for the first time. */
  async function redeem(sealed: string, { id, maxPrice, inputsDigest }: ApprovalFacts): Promise<void> {
    const state = open(sealed)
    const now = Math.floor(Date.now() / 1000)
    if (state.principal !== principal) throw new ApprovalInvalidError('it is of somebody else')
    if (state.quote_id !== id) throw new ApprovalInvalidError('it is about another quote')
    if (state.inputs_digest !== inputsDigest || state.max_charge !== maxPrice)
      throw new ApprovalInvalidError('it is about other inputs or another amount')
    if (state.exp <= now) throw new ApprovalExpiredError(id)
    const isFirst = await store.transaction((transaction) =>
      transaction.useOnce(`approval ${state.nonce}`, state.exp, now),
    )
    if (!isFirst) throw new ApprovalInvalidError('it was used before')
  }

  async function waitForPage({ id }: ApprovalFacts): Promise<StoredApproval | undefined> {
    const until = Date.now() + pageWaitMilliseconds
    for (;;) {
      const approval = await store.transaction((transaction) => transaction.findApproval(id))
      if (approval?.state !== 'wanted' || Date.now() > until) return approval
      await sleep(pagePollMilliseconds)
    }
  }

  async function takeAnswer(facts: ApprovalFacts, asking: Asking): Promise<void> {
    const answer = inputResponse({ ...asking.answers }, question)
    if (answer.kind !== 'elicit') throw new ApprovalInvalidError('it carries no answer')
    if (answer.action === 'cancel')
      throw new ApprovalDeclinedError(facts.id, 'the question was dismissed; ask the user what they want')
    if (answer.action === 'decline') {
      await keep(facts, false, mode === 'url' ? 'url' : 'elicit')
      throw new ApprovalDeclinedError(facts.id)
    }
    if (mode === 'url') {
      // Opening the page is consent to look at it; the word is what was chosen there.
      const approval = await waitForPage(facts)
      if (approval?.state === 'declined') throw new ApprovalDeclinedError(facts.id)
      if (approval?.state === 'wanted')
        throw new ApprovalRequiredError({
          id: facts.id,
          maxPrice: facts.maxPrice,
          how: `ask the user to decide on the page that was opened, then ${facts.again ?? runAgain}`,
        })
      return
    }
    const decision = answer.content?.decision
    if (decision !== 'approve' && decision !== 'decline') throw new ApprovalInvalidError('no decision was made')
    await keep(facts, decision === 'approve', 'elicit')
    if (decision === 'decline') throw new ApprovalDeclinedError(facts.id)
  }

  return {
    async ask(facts, { approval, left, asking }) {
      const { id, maxPrice, inputsDigest } = facts
      if (mode === 'deny')
        throw new ApprovalDeclinedError(id, 'this server is set to approve nothing of this price (--approval deny)')
      if (approval?.state === 'declined') throw new ApprovalDeclinedError(id)
      if (asking.state !== undefined) {
        await redeem(asking.state, facts)
        await takeAnswer(facts, asking)
        return undefined
      }
      await want(facts, left)
      const exp = Math.min(Math.floor(Date.now() / 1000) + longestSeconds, facts.validUntil)
      const sealState = () =>
        seal({
          principal,
          quote_id: id,
          inputs_digest: inputsDigest,
          max_charge: maxPrice,
          nonce: crypto.randomUUID(),
          exp,
        })
      if (mode === 'elicit' && asking.canAskForm) {
        const message = `Approve this order?\n${factsText(facts)}`
        const decision = { type: 'string' as const, title: 'Your decision', enum: ['approve', 'decline'] }
        const requestedSchema = { type: 'object' as const, properties: { decision }, required: ['decision'] }
        return inputRequired({
          inputRequests: { [question]: inputRequired.elicit({ message, requestedSchema }) },
          requestState: sealState(),
        })
      }
      if (mode === 'url' && asking.canOpenUrl) {
        const url = (await openPage()).show(facts, (isApproved) => keep(facts, isApproved, 'url'))
        const message = `Approve or decline an order of at most ${withToken(maxPrice)} on this page. The link works once.`
        return inputRequired({
          inputRequests: { [question]: inputRequired.elicitUrl({ message, url }) },
          requestState: sealState(),
        })
      }
      throw required(facts)
    },
    async close() {
      await (await page)?.close()
    },
  }
}
