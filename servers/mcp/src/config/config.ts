import type { SignedGrant, Signer } from '@lilypad-agents/protocol'
import type { Network, SpendingPolicy } from '@lilypad-agents/sdk'
import type { Pin } from '../pins/pin.ts'
import type { ToolSelection } from '../tools/tool-selection.ts'
import { type PaidServerConfig, type SaleConfig, toSale } from '../x402/x402-settings.ts'
import type { HttpConfig } from './http-settings.ts'
import { type ApprovalMode, limitPolicy, toPolicy } from './policy.ts'
import { isTestChain, type Mode, readNetwork } from './read-network.ts'
import { readWallet } from './read-wallet.ts'
import type { GivenSettings, LogLevel } from './settings.ts'

/** Everything the server is told by the person who runs it. No call can change any of it. */
export type McpConfig = {
  readonly network: Network
  /** Quotes, jobs, files and the spending ledger; several servers may share one folder. */
  readonly stateDirectory: string
  /** Signs orders; without it the server only reads. The key cannot be read back from it. */
  readonly signer?: Signer
  /** Lets the signer order for a payer whose key is not here. */
  readonly grant?: SignedGrant
  readonly policy: SpendingPolicy
  /** How a person approves what costs `policy.approveFrom` or more. @default 'elicit' */
  readonly approval?: ApprovalMode
  /** Whether it may spend, and money of which worth. @default 'testnet' */
  readonly mode?: Mode
  /** File that the network was read from, as the commands that a person is told name it. */
  readonly networkFile?: string
  /** Words that start this program in a terminal. @default lilypad-mcp */
  readonly launch?: readonly string[]
  /** Folder whose files may be job inputs. */
  readonly inputDirectory?: string
  /** Folder into which outputs are saved. */
  readonly outputDirectory?: string
  /** Which tools are offered. @default all */
  readonly selection?: ToolSelection
  /** Modules that are offered as tools of their own. */
  readonly pins?: readonly Pin[]
  /** Whether images among the outputs are shown to the model. @default 'preview' */
  readonly images?: 'preview' | 'omit'
  /** Port for HTTP; 0 takes a free one. */
  readonly port?: number
  /** How it is reached over HTTP. @default on loopback, without a login */
  readonly http?: HttpConfig
  /** Whose jobs and approvals these are, where one process serves several. @default 'local' */
  readonly principal?: string
  readonly logLevel?: LogLevel
  /** Servers whose tools may be bought by x402. @default none */
  readonly paidServers?: readonly PaidServerConfig[]
  /** What `sell` offers to strangers. */
  readonly sale?: SaleConfig
}

/** Whether anything that a client asks for may be signed: not without a key, and not under `--read-only`. */
export const maySpend = ({ signer, selection }: Pick<McpConfig, 'signer' | 'selection'>): boolean =>
  signer !== undefined && !selection?.isReadOnly

/**
 * What the settings say, with what the files that they name hold.
 * @throws LilypadError CONFIG_INVALID
 */
export function toConfig(given: GivenSettings): McpConfig {
  const network = readNetwork(given)
  // Principals may bring keys of their own: they spend no real money either unless that was said.
  const mode = given.mode ?? (isTestChain(network) ? 'testnet' : 'read-only')
  const { signer, grant } = readWallet({ ...given, mode }, network)
  const sale = toSale(given)
  return {
    network,
    networkFile: given.network,
    mode,
    stateDirectory: given['state-dir'],
    policy: limitPolicy(toPolicy(given), grant),
    approval: given.approval,
    selection: {
      isReadOnly: given['read-only'],
      ...(given.toolsets ? { toolsets: given.toolsets } : {}),
      ...(given.tools ? { tools: given.tools } : {}),
    },
    ...(given.pin ? { pins: given.pin } : {}),
    images: given.images,
    port: given.port,
    logLevel: given['log-level'],
    ...(signer ? { signer } : {}),
    ...(grant ? { grant } : {}),
    ...(sale ? { sale } : {}),
    ...(given['paid-server'] ? { paidServers: given['paid-server'] } : {}),
    ...(given['input-dir'] ? { inputDirectory: given['input-dir'] } : {}),
    ...(given['output-dir'] ? { outputDirectory: given['output-dir'] } : {}),
  }
}
