import { LilypadError } from '@lilypad-agents/protocol'
import {
  BaseError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  decodeErrorResult,
  HttpRequestError,
  InsufficientFundsError,
  InternalRpcError,
  TimeoutError,
  WaitForTransactionReceiptTimeoutError,
  toFunctionSelector,
} from 'viem'
import { formatAbiItem } from 'viem/utils'
import { contractErrors } from './contract-errors.ts'
import { findRevertKind, type RevertKind, revertHints } from './revert-advice.ts'

/** The RPC endpoint does not answer, or fails inside. Nothing was sent, or what was sent can be looked up by its hash. */
export class RpcUnreachableError extends LilypadError {
  override readonly name = 'RpcUnreachableError'
  constructor(cause: unknown) {
    super('RPC_UNREACHABLE', 'The chain cannot be reached over its RPC endpoint.', {
      hint: 'check that the endpoint of the network file is up, then try again; signed jobs continue without it',
      cause,
    })
  }
}

/** The endpoint serves another chain than the network file says. */
export class WrongChainError extends LilypadError {
  override readonly name = 'WrongChainError'
  constructor(options: { readonly expected: number; readonly actual: number }) {
    super('WRONG_CHAIN', 'The RPC endpoint serves another chain.', {
      details: [`Expected: ${options.expected}   Actual: ${options.actual}`],
      hint: 'use the RPC endpoint of the chain in the network file',
    })
  }
}

/** A contract has other code than the network file says. */
export class WrongContractError extends LilypadError {
  override readonly name = 'WrongContractError'
  constructor(options: {
    readonly contract: string
    readonly address: string
    readonly expected: string
    readonly actual: string
  }) {
    const { contract, address, expected, actual } = options
    super('WRONG_CONTRACT', 'A contract of the network has other code than the network file says.', {
      details: [`Contract: ${contract} at ${address}`, `Expected: ${expected}   Actual: ${actual}`],
      hint: 'order nothing; get the network file anew from whoever runs the network, and check the RPC endpoint',
    })
  }
}

/** Nothing of ours is at the address that the network file names. */
export class ContractMissingError extends LilypadError {
  override readonly name = 'ContractMissingError'
  constructor(functionName: string, cause: unknown) {
    super('WRONG_CHAIN', 'The chain has no contract of ours at the address in the network file.', {
      details: [`Call: ${functionName}`],
      hint: 'use the network file that belongs to this chain',
      cause,
    })
  }
}

/** A transaction was sent and is not in a block yet. */
export class TransactionPendingError extends LilypadError {
  override readonly name = 'TransactionPendingError'
  constructor(functionName: string, cause: unknown) {
    super('TIMED_OUT', `The transaction of \`${functionName}\` is sent and not in a block yet.`, {
      charged: 'unknown',
      hint: 'look at the state on chain before sending it again',
      cause,
    })
  }
}

/** A contract refused a call. `errorName` is the custom error of the contract, `kind` what can be done about it. */
export class ContractRevertedError extends LilypadError {
  override readonly name = 'ContractRevertedError'
  readonly errorName: string
  readonly kind: RevertKind | undefined
  constructor(options: {
    readonly errorName: string
    readonly args: readonly unknown[]
    readonly functionName: string
    readonly cause?: unknown
  }) {
    const { errorName, args, functionName, cause } = options
    const kind = findRevertKind(errorName)
    super('CONTRACT_REVERTED', `The contract refused \`${functionName}\`: ${errorName}.`, {
      details: args.length > 0 ? [`Arguments: ${args.map(String).join(', ').slice(0, 500)}`] : [],
      hint: kind ? revertHints[kind] : `see \`${errorName}\` in docs/contracts`,
      cause,
    })
    this.errorName = errorName
    this.kind = kind
  }
}

/** The sender has no ether for gas. */
export class InsufficientGasError extends LilypadError {
  override readonly name = 'InsufficientGasError'
  constructor(cause: unknown) {
    super('INSUFFICIENT_BALANCE', 'The sending account has too little ether to pay for gas.', {
      hint: 'send it some ether, then try again',
      cause,
    })
  }
}

function nameRevert(reverted: ContractFunctionRevertedError): {
  readonly errorName: string
  readonly args: readonly unknown[]
} {
  const { data, raw, signature } = reverted
  if (data) return unwrapReason(data.errorName, data.args ?? [])
  try {
    const { errorName, args } = decodeErrorResult({ abi: contractErrors, data: raw ?? '0x' })
    return unwrapReason(errorName, args ?? [])
  } catch {
    return { errorName: signature ?? 'reverted without a reason', args: [] }
  }
}

const namesBySelector = new Map(
  contractErrors.flatMap((item) =>
    item.type === 'error' ? [[toFunctionSelector(formatAbiItem(item)), item.name] as const] : [],
  ),
)

/** A claim that is refused names the error of the batch, or of the vault, by its selector. */
function unwrapReason(errorName: string, args: readonly unknown[]) {
  const name = errorName === 'ClaimRefused' ? namesBySelector.get(args[1] as `0x${string}`) : undefined
  return name === undefined ? { errorName, args } : { errorName: name, args: args.slice(0, 1) }
}

/** Runs a chain call and turns viem's errors into ours. */
export async function translateChainErrors<T>(functionName: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (!(error instanceof BaseError)) throw error
    const reverted = error.walk((cause) => cause instanceof ContractFunctionRevertedError)
    // viem also takes a node's internal error for a revert; one without revert data did not come from a contract.
    const isNodeFault =
      reverted instanceof ContractFunctionRevertedError &&
      reverted.raw === undefined &&
      !/revert/i.test(reverted.reason ?? '') &&
      error.walk((cause) => cause instanceof InternalRpcError) !== null
    if (isNodeFault) throw new RpcUnreachableError(error)
    if (reverted instanceof ContractFunctionRevertedError) {
      const { errorName, args } = nameRevert(reverted)
      throw new ContractRevertedError({ errorName, args, functionName, cause: error })
    }
    if (error.walk((cause) => cause instanceof ContractFunctionZeroDataError))
      throw new ContractMissingError(functionName, error)
    if (error.walk((cause) => cause instanceof WaitForTransactionReceiptTimeoutError))
      throw new TransactionPendingError(functionName, error)
    if (error.walk((cause) => cause instanceof InsufficientFundsError)) throw new InsufficientGasError(error)
    const unreachable = error.walk(
      (cause) => cause instanceof HttpRequestError || cause instanceof TimeoutError || cause instanceof TypeError,
    )
    if (unreachable) throw new RpcUnreachableError(error)
    throw new LilypadError('INTERNAL', `The chain call \`${functionName}\` failed.`, { cause: error })
  }
}
