import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Bytes32, TokenAmount, UnixSeconds } from '@lilypad-agents/protocol'
import { ApprovalInvalidError } from '@lilypad-agents/sdk'
import { z } from 'zod'

/** What a question to a person was about. It goes through the client and comes back, so it is sealed. */
export const ApprovalState = z.strictObject({
  principal: z.string(),
  quote_id: Bytes32,
  inputs_digest: Bytes32,
  max_charge: TokenAmount,
  nonce: z.string(),
  exp: UnixSeconds,
})
export type ApprovalState = z.output<typeof ApprovalState>

/** Seals and opens what was asked. */
export type ApprovalSeal = {
  seal(state: ApprovalState): string
  /** @throws ApprovalInvalidError when it was not sealed here, for this network, or was changed */
  open(sealed: string): ApprovalState
}

const cipher = 'aes-256-gcm'
const sizes = { key: 32, iv: 12, tag: 16 } as const
const longestState = 2000

/**
 * Makes the seal of a state folder: AES-256-GCM under a key in the folder, so that another process on it, or the next one, opens what this one
 * sealed, and nobody else can make or change one. `audience` names network and vault.
 */
export function createApprovalSeal(stateDirectory: string, audience: string): ApprovalSeal {
  let key: Buffer | undefined
  const additional = Buffer.from(`lilypad-mcp approval 1 ${audience}`)
  return {
    seal(state) {
      key ??= openKey(stateDirectory)
      const iv = randomBytes(sizes.iv)
      const sealing = createCipheriv(cipher, key, iv).setAAD(additional)
      const text = sealing.update(JSON.stringify(z.encode(ApprovalState, state)), 'utf8')
      return Buffer.concat([iv, text, sealing.final(), sealing.getAuthTag()]).toString('base64url')
    },
    open(sealed) {
      try {
        if (sealed.length > longestState) throw new RangeError('too long')
        key ??= openKey(stateDirectory)
        const bytes = Buffer.from(sealed, 'base64url')
        const tagAt = bytes.length - sizes.tag
        const opening = createDecipheriv(cipher, key, bytes.subarray(0, sizes.iv), { authTagLength: sizes.tag })
        opening.setAAD(additional).setAuthTag(bytes.subarray(tagAt))
        const text = Buffer.concat([opening.update(bytes.subarray(sizes.iv, tagAt)), opening.final()])
        return ApprovalState.parse(JSON.parse(text.toString('utf8')))
      } catch {
        throw new ApprovalInvalidError('it was not made here, or was changed')
      }
    },
  }
}

/** Reads the key of a folder; whoever comes first makes it. */
function openKey(stateDirectory: string): Buffer {
  const path = join(stateDirectory, 'approval.key')
  const temporary = `${path}.${crypto.randomUUID()}`
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
  try {
    return readKey(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  writeFileSync(temporary, randomBytes(sizes.key), { mode: 0o600, flush: true })
  try {
    // A link is there whole or not at all, and never takes the place of another process's.
    linkSync(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(temporary, { force: true })
  }
  return readKey(path)
}

function readKey(path: string): Buffer {
  const key = readFileSync(path)
  if (key.length !== sizes.key) throw new RangeError(`${path} is damaged: remove it, so that a new one is made`)
  return key
}
