import { x25519 } from '@noble/curves/ed25519.js'
import { bech32 } from '@scure/base'
import type { JobInputs } from './inputs.ts'
import type { ModuleLimits } from './module-limits.ts'

/**
 * Name that stands among the inputs of a job for the key its outputs are to be sealed to. No module can have an input of
 * this name, so any job can carry it, and the order's `inputsDigest` signs it like every input: nobody on the way can take
 * it out or put another in. A provider that does not know it refuses the order as one with an unknown input.
 */
export const recipientInput = '$recipient'

const someScalar = new Uint8Array(32).fill(1)

/** Whether a text is an X25519 recipient of age that can be sealed to: well-formed, and no point of low order. */
export function isRecipient(text: string): boolean {
  if (!/^age1[02-9ac-hj-np-z]{58}$/.test(text)) return false
  try {
    const { prefix, bytes } = bech32.decodeToBytes(text)
    if (prefix !== 'age' || bytes.length !== 32) return false
    x25519.getSharedSecret(someScalar, bytes)
    return true
  } catch {
    return false
  }
}

/** Whom the outputs of a job are to be sealed to, if the order asks for it. */
export function findRecipient(inputs: JobInputs): string | undefined {
  const recipient = inputs[recipientInput]
  return typeof recipient === 'string' ? recipient : undefined
}

/** Header of a sealed file with one recipient, its nonce, and the tag of each chunk of 64 KiB. */
const headerBytes = 184
const chunkBytes = 65_536
const tagBytes = 16

/**
 * Most bytes that the outputs of a job may have as they are delivered: sealing makes each file a little longer than the
 * module's limit speaks of.
 */
export function deliveredBytesLimit(
  limits: Pick<ModuleLimits, 'outputBytes' | 'outputFiles'>,
  inputs: JobInputs,
): number {
  const { outputBytes, outputFiles } = limits
  if (findRecipient(inputs) === undefined) return outputBytes
  return outputBytes + outputFiles * (headerBytes + tagBytes) + Math.ceil(outputBytes / chunkBytes) * tagBytes
}
