import { parametersAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('parameters', parametersAbi)

/** Changes a parameter after its delay; the timelock only. */
export const scheduleParameter = write('schedule', 'ParameterScheduled')

/** Takes a scheduled change back; the timelock only. */
export const cancelParameter = write('cancel', 'ParameterCancelled')
