/**
 * What an EIP-3009 authorisation signs, whether it is for a transfer or for a receiver that fetches it.
 * @see https://eips.ethereum.org/EIPS/eip-3009
 */
export const authorizationFields = [
  { name: 'from', type: 'address' },
  { name: 'to', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'validAfter', type: 'uint256' },
  { name: 'validBefore', type: 'uint256' },
  { name: 'nonce', type: 'bytes32' },
] as const
