import { nonceManager } from 'viem/accounts'

/**
 * Makes the next chain of this process start from nothing. viem counts the transactions of an account per chain id for
 * the whole process, and every local chain has the same id and the same first account.
 */
export function forgetNonces(): void {
  nonceManager.reset({ address: '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266', chainId: 31_337 })
}
