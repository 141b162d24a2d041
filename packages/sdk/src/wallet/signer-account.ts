import { keccak256 as hash, type Signature, type Signer } from '@lilypad-agents/protocol'
import { hashMessage, hashTypedData, type LocalAccount, serializeTransaction, toBytes } from 'viem'
import { toAccount } from 'viem/accounts'
import { signatureParts } from '../token/token-actions.ts'

/** A viem account that signs with a signer, whose key nobody can read back. */
export function toSignerAccount(signer: Signer): LocalAccount {
  return toAccount({
    address: signer.address,
    signMessage: async ({ message }) => signer.sign(hashMessage(message)),
    signTypedData: async (typedData) => signer.sign(hashTypedData(typedData)),
    async signTransaction(transaction, options = {}) {
      const { serializer = serializeTransaction } = options
      const digest = hash(toBytes(await serializer(transaction)))
      return serializer(transaction, toParts(signer.sign(digest)))
    },
  })
}

function toParts(signature: Signature) {
  const { v, r, s } = signatureParts(signature)
  return { r, s, v: BigInt(v), yParity: v - 27 }
}
