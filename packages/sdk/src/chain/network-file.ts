import { readFileSync } from 'node:fs'
import { LilypadError } from '@lilypad-agents/protocol'
import { Network } from './network.ts'

/**
 * Reads a network file.
 * @throws LilypadError CONFIG_INVALID when it is missing or not a network
 */
export function readNetworkFile(path: string): Network {
  try {
    return Network.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    throw new LilypadError('CONFIG_INVALID', 'The network file cannot be read.', {
      details: [`File: ${path}`],
      hint: 'start a local network with `lilypad up`, or name another file with --network',
      cause: error,
    })
  }
}
