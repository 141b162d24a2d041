import { juryAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('jury', juryAbi)

/** Lets the sender be drawn as a mediator, with the weight of its stake. */
export const joinMediatorPool = write('joinPool', 'PoolJoined')

/** Ends that. */
export const leaveMediatorPool = write('leavePool', 'PoolLeft')

/** Brings a mediator's weight up to its stake. */
export const refreshMediatorWeight = write('refreshWeight', 'PoolWeightChanged')

/** Draws the mediators of a case by stake, from a block after it was opened. */
export const drawMediators = write('draw', 'MediatorDrawn')

/** Hands in the signed verdict of a drawn mediator; anyone may send it. */
export const submitVerdict = write('submitVerdict', 'VerdictSubmitted')

/** Replaces a mediator that let its time pass. */
export const replaceMediator = write('replaceMediator', 'MediatorReplaced')

/** Ends a round whose time is over. */
export const endRound = write('endRound', 'RoundDecided')
