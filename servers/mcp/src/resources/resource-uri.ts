import type { Bytes32 } from '@lilypad-agents/protocol'

/** Address of a job and of what belongs to it. */
export const jobUri = (orderHash: Bytes32, part?: 'logs' | 'manifest' | 'receipt'): string =>
  `lilypad://jobs/${orderHash}${part ? `/${part}` : ''}`

/** Address of an output file. */
export const outputUri = (orderHash: Bytes32, path: string): string =>
  `lilypad://jobs/${orderHash}/outputs/${path.split('/').map(encodeURIComponent).join('/')}`
