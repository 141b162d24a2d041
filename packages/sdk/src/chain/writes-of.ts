import {
  type Abi,
  type AbiParameter,
  type AbiParameterToPrimitiveType,
  type AbiStateMutability,
  type ContractEventName,
  type ContractFunctionName,
  type ExtractAbiItem,
  type Hash,
  type Log,
  parseEventLogs,
  type ParseEventLogsReturnType,
  type TransactionReceipt,
} from 'viem'
import type { ChainClient, Contracts, LilypadChain } from './lilypad-chain.ts'
import type { ContractName } from './network.ts'
import { type ContractCall, sendCall, sendCallSync } from './send-call.ts'

type Writing = Extract<AbiStateMutability, 'nonpayable' | 'payable'>

/** What a caller gives for a parameter: the wire nouns of `protocol` fit, so times of 64 bits may be numbers; amounts may not. */
type Given<parameter> = parameter extends { type: 'uint64' }
  ? bigint | number
  : parameter extends { type: 'tuple'; components: infer components extends readonly AbiParameter[] }
    ? GivenByName<components>
    : parameter extends { type: 'tuple[]'; components: infer components extends readonly AbiParameter[] }
      ? readonly GivenByName<components>[]
      : parameter extends AbiParameter
        ? AbiParameterToPrimitiveType<parameter>
        : never
type GivenByName<parameters extends readonly AbiParameter[]> = {
  readonly [parameter in parameters[number] as parameter['name'] & string]: Given<parameter>
}
type Options<abi extends Abi, name extends string> =
  ExtractAbiItem<abi, name> extends { inputs: infer inputs extends readonly AbiParameter[] }
    ? GivenByName<inputs>
    : never
type EventOf<abi extends Abi, event extends ContractEventName<abi>> = ParseEventLogsReturnType<abi, event, true>[number]

/** A function of one of our contracts that writes, in the four forms in which callers need it. */
export type Write<abi extends Abi, name extends string, event extends ContractEventName<abi>> = {
  /** Simulates, then sends; gives the transaction's hash. */
  (client: ChainClient, options: Options<abi, name>): Promise<Hash>
  /** The call, unsent: for batches and simulation. */
  call(chain: LilypadChain, options: Options<abi, name>): ContractCall
  /** Sends, waits until it is in a block, and gives the receipt with the event. */
  sync(
    client: ChainClient,
    options: Options<abi, name>,
  ): Promise<{ readonly receipt: TransactionReceipt; readonly event: EventOf<abi, event> | undefined }>
  /** The events of this write in logs, in their order. */
  extract(logs: readonly Log[]): EventOf<abi, event>[]
}

/**
 * Makes the four forms of the writes of one contract from its ABI: options carry the names of the Solidity parameters.
 * A function that is overloaded is taken in its first form.
 */
export function writesOf<const abi extends Abi>(contract: ContractName, abi: abi) {
  const addressOf = (chain: LilypadChain) => (chain.contracts as Contracts)[contract].address
  return <name extends ContractFunctionName<abi, Writing>, event extends ContractEventName<abi>>(
    functionName: name,
    eventName: event,
  ): Write<abi, name, event> => {
    const item = abi.find((entry) => entry.type === 'function' && entry.name === functionName)
    if (item?.type !== 'function') throw new TypeError(`${contract} has no function ${functionName}`)
    const call = (chain: LilypadChain, options: Options<abi, name>): ContractCall => ({
      address: addressOf(chain),
      abi,
      functionName,
      // The type above made sure that every parameter has its option.
      args: item.inputs.map((input) => (options as Record<string, unknown>)[input.name ?? '']),
    })
    const extract = (logs: readonly Log[]) =>
      // viem's generic return type does not reduce under our own type parameters.
      parseEventLogs({ abi: abi as Abi, eventName, logs: [...logs] }) as unknown as EventOf<abi, event>[]
    return Object.assign(
      (client: ChainClient, options: Options<abi, name>) => sendCall(client, call(client.chain, options)),
      {
        call,
        extract,
        async sync(client: ChainClient, options: Options<abi, name>) {
          const receipt = await sendCallSync(client, call(client.chain, options))
          const address = addressOf(client.chain).toLowerCase()
          const [event] = extract(receipt.logs.filter((log) => log.address.toLowerCase() === address))
          return { receipt, event }
        },
      },
    )
  }
}
