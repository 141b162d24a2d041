import { jobEscrowAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('jobEscrow', jobEscrowAbi)

/** Moves what a stranger paid to the address of a job into a lock for that job. */
export const openEscrow = write('open', 'EscrowOpened')

/** Sends a payment back that came twice or too late. */
export const refundEscrow = write('refund', 'EscrowRefunded')

/** Announces a refund, so that nobody can step between. */
export const commitEscrowRefund = write('commitRefund', 'EscrowRefundCommitted')
