import { LilypadError } from '@lilypad-agents/protocol'
import { createViemChain, type ProviderConfig } from '@lilypad-agents/provider'
import {
  cancelUnbond,
  finalizeUnbond,
  getCredit,
  getStake,
  getTokenBalance,
  requestUnbond,
  type Stake,
  stakeRoles,
} from '@lilypad-agents/sdk'
import type { Printer } from '../output/printer.ts'
import { date, lily, line, openProvider } from './provider-account.ts'

/** How stake comes back: asked for, taken back, paid out after its delay, or only looked at. */
export type UnstakeMove =
  | { readonly kind: 'request'; readonly amount: bigint }
  | { readonly kind: 'cancel' | 'finalize' | 'show' }

/**
 * Adds to the provider's stake out of its own LILY, its credit included.
 * @throws LilypadError INSUFFICIENT_BALANCE when it has less than the amount; nothing is staked then
 */
export async function addProviderStake(config: ProviderConfig, amount: bigint, printer: Printer): Promise<void> {
  const { client, account, token } = openProvider(config)
  const [balance, credit] = await Promise.all([
    getTokenBalance(client, { account, token }),
    getCredit(client, { account, token }),
  ])
  if (balance + credit < amount) {
    throw new LilypadError('INSUFFICIENT_BALANCE', 'The provider has less than the stake.', {
      details: [`Wanted: ${lily(amount)}   In its wallet: ${lily(balance)}   To withdraw: ${lily(credit)}`],
      hint: `stake what it has, or send LILY to ${account}`,
    })
  }
  const { claims } = createViemChain(client)
  const added = await claims.addStake({ account, token, amount })
  const stake = await claims.getStake({ account, token })
  printer.result({ added, stake }, [
    line('Staked', lily(added)),
    line('Stake', `${lily(stake.active)}, ${lily(stake.free)} of it free`),
  ])
}

/**
 * Gets stake back. What is asked for backs no new job from then on, can be slashed until its delay is over, and is paid to the
 * provider's own account.
 * @throws LilypadError INSUFFICIENT_BALANCE when jobs bind more than would be left, INVALID_REQUEST when nothing is asked for or the
 * delay is not over; nothing is sent then
 */
export async function moveUnstake(config: ProviderConfig, move: UnstakeMove, printer: Printer): Promise<void> {
  const { client, account, token } = openProvider(config)
  const of = { role: 'provider', account, token } as const
  const role = stakeRoles.provider
  const before = await getStake(client, of)
  const tell = async (done: string | undefined, transaction?: string) => {
    const stake = done === undefined ? before : await getStake(client, of)
    printer.result({ stake, transaction: transaction ?? null }, [
      ...(done === undefined ? [] : [line(done, transaction ?? '')]),
      line('Stake', `${lily(stake.active)}, ${lily(stake.free)} of it free`),
      line('Asked back', describeUnbonding(stake)),
    ])
  }
  if (move.kind === 'show') return tell(undefined)
  if (move.kind === 'request') {
    const whole = before.active + before.unbonding
    if (whole === 0n) {
      throw new LilypadError('INSUFFICIENT_BALANCE', 'The provider has no stake to ask back.', {
        details: [`Provider: ${account}`],
        hint: 'check with `lilypad provider status` that this is the key you mean',
      })
    }
    // After a slash jobs may bind more than is left.
    const most = whole > before.exposure ? whole - before.exposure : 0n
    if (move.amount > most || move.amount === 0n) {
      throw new LilypadError('INSUFFICIENT_BALANCE', 'This much stake cannot be asked back.', {
        details: [`Wanted: ${lily(move.amount)}   At most: ${lily(most)}   Bound by jobs: ${lily(before.exposure)}`],
        hint: 'ask for an amount up to that; what jobs bind becomes free when they are over',
      })
    }
    const { receipt } = await requestUnbond.sync(client, { role, token, amount: move.amount })
    const restakeUpTo = config.claims?.restakeUpTo
    if (restakeUpTo !== undefined && restakeUpTo > whole - move.amount) {
      printer.note(`The provider adds stake again when claims need it: claims.restake_up_to is ${lily(restakeUpTo)}.`)
    }
    return tell('Asked', receipt.transactionHash)
  }
  if (before.unbonding === 0n) {
    throw new LilypadError('INVALID_REQUEST', 'No stake was asked back.', {
      hint: 'ask for it: lilypad provider unstake 10',
    })
  }
  if (move.kind === 'cancel') {
    const { receipt } = await cancelUnbond.sync(client, { role, token })
    return tell('Taken back', receipt.transactionHash)
  }
  const { timestamp } = await client.getBlock()
  if (timestamp < before.unbondableAt) {
    throw new LilypadError('INVALID_REQUEST', 'The stake cannot leave yet.', {
      details: [`Asked back: ${describeUnbonding(before)}`],
      hint: 'run it again then; until that time it can still be slashed for a job it backed',
    })
  }
  const { receipt } = await finalizeUnbond.sync(client, { role, token, receiver: account })
  return tell('Paid out', receipt.transactionHash)
}

const describeUnbonding = ({ unbonding, unbondableAt }: Stake) =>
  unbonding === 0n ? 'nothing' : `${lily(unbonding)}, can leave from ${date(unbondableAt)} UTC on`
