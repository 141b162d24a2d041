import { readFileSync } from 'node:fs'
import { createSigner, parseWire, SignedGrant, type Signer } from '@lilypad-agents/protocol'
import type { Network } from '@lilypad-agents/sdk'
import { readKeyFile } from '@lilypad-agents/sdk/node'
import { invalid } from './values.ts'

/**
 * The key that signs and the grant for it, as far as the settings name them.
 * @throws LilypadError CONFIG_INVALID when a file cannot be used or the grant is for another key or token
 */
export function readWallet(
  given: { readonly [name in 'key-file' | 'grant-file' | 'mode']?: string | undefined },
  network: Network,
): { readonly signer?: Signer; readonly grant?: SignedGrant } {
  if (given.mode === 'read-only') return {}
  const keyFile = given['key-file']
  const signer = keyFile === undefined ? undefined : createSigner(readKeyFile(keyFile))
  const grant = given['grant-file'] === undefined ? undefined : readGrantFile(given['grant-file'])
  if (grant) {
    if (!signer) throw invalid('--grant-file needs --key-file', 'name the file of the key that the grant is for')
    const fits = grant.grant.key === signer.address && grant.grant.token === network.contracts.lilyToken
    if (!fits)
      throw invalid(
        `Granted to key: ${grant.grant.key}   Key of this server: ${signer.address}`,
        'use the grant that the payer signed for this key and network',
      )
  }
  return { ...(signer ? { signer } : {}), ...(grant ? { grant } : {}) }
}

function readGrantFile(path: string): SignedGrant {
  let json: unknown
  try {
    json = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    throw invalid(`The grant file cannot be read: ${path}`, 'it holds the grant that the payer signed, as JSON')
  }
  return parseWire(SignedGrant, json, 'grant file')
}
