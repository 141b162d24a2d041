import { rewardsAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('rewards', rewardsAbi)

/** Gives LILY to the pools of an epoch. */
export const fundRewards = write('fund', 'RewardEpochFunded')

/** Lets an actor take part from now on, from where its accumulators stand. */
export const enrollActor = write('enroll', 'RewardActorEnrolled')

/** Takes what an actor was worth in an epoch; anyone may send it, in the epoch after. */
export const takeRewardCheckpoint = write('checkpoint', 'RewardCheckpointTaken')

/** Sends an actor's share of an epoch to it; anyone may send it. */
export const claimReward = write('claim', 'RewardClaimed')

/** Moves a pool that nobody had a share in to a later epoch. */
export const rollOverRewards = write('rollOver', 'RewardPoolRolledOver')
