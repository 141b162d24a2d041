import { depositAddressAbi, depositAddressBytecode } from '@lilypad-agents/abi'
import type { Address, Bytes32 } from '@lilypad-agents/protocol'
import { encodeDeployData, encodeFunctionData, getContractAddress, type Hex } from 'viem'
import { ContractRevertedError, translateChainErrors } from '../chain/chain-errors.ts'
import { deterministicProxy } from '../chain/deterministic-proxy.ts'
import type { ChainClient, LilypadChain } from '../chain/lilypad-chain.ts'

/** Whose money an address takes: everything sent there can only become the beneficiary's balance in the vault. */
export type DepositTerms = {
  /** Payer whose balance it becomes. */
  readonly beneficiary: Address
  readonly token: Address
  /** Tells the addresses of one beneficiary apart. */
  readonly salt: Bytes32
}

/** The address that takes tokens under these terms; it is the same before and after its code is deployed. */
export function toDepositAddress(chain: LilypadChain, terms: DepositTerms): Address {
  const { salt } = terms
  const bytecode = toInitCode(chain, terms)
  return getContractAddress({ opcode: 'CREATE2', from: deterministicProxy, salt, bytecode }).toLowerCase() as Address
}

/**
 * Moves what was sent to a deposit address into the vault, deploying its code the first time. Anyone may; the sender pays the gas. With
 * nothing there it changes nothing.
 * @returns the transaction that did it, once it is in a block
 */
export async function sweepDepositAddress(client: ChainClient, terms: DepositTerms): Promise<Bytes32> {
  const { account, chain } = client
  if (!account) throw new TypeError('the client has no account to send from')
  const address = toDepositAddress(chain, terms)
  return translateChainErrors('sweep', async () => {
    const isDeployed = (await client.getCode({ address })) !== undefined
    const { token, salt } = terms
    const call = isDeployed
      ? { to: address, data: encodeFunctionData({ abi: depositAddressAbi, functionName: 'sweep', args: [token] }) }
      : { to: deterministicProxy, data: `${salt}${toInitCode(chain, terms).slice(2)}` as Hex }
    // Whoever would pay for a transaction that fails learns it before.
    await client.call({ account, ...call })
    const hash = await client.sendTransaction({ account, chain, ...call })
    const { status } = await client.waitForTransactionReceipt({ hash, timeout: 60_000 })
    if (status === 'success') return hash
    throw new ContractRevertedError({ errorName: 'reverted in the block', args: [hash], functionName: 'sweep' })
  })
}

function toInitCode(chain: LilypadChain, { beneficiary, token }: DepositTerms): Hex {
  return encodeDeployData({
    abi: depositAddressAbi,
    bytecode: depositAddressBytecode,
    args: [chain.contracts.jobVault.address, beneficiary, token],
  })
}
