import type { Bench } from './bench/define-bench.ts'
import { gasClaim } from './gas/claim.ts'
import { gasClaimLone } from './gas/claim-lone.ts'
import { gasLane100 } from './gas/lane-100.ts'
import { gasLane1000 } from './gas/lane-1000.ts'
import { gasLock100 } from './gas/lock-100.ts'
import { gasLone } from './gas/lone.ts'
import { gasPayers100 } from './gas/payers-100.ts'
import { gatewayFirstToken } from './gateway/first-token.ts'
import { gatewayRequest } from './gateway/request.ts'
import { gatewayStreams50 } from './gateway/streams-50.ts'
import { gatewayThroughput } from './gateway/throughput.ts'
import { jobContainer } from './job/container.ts'
import { jobThroughput } from './job/throughput.ts'
import { jobWasm } from './job/wasm.ts'
import { mcpInstall } from './mcp/install.ts'
import { mcpMemory } from './mcp/memory.ts'
import { mcpReadCall } from './mcp/read-call.ts'
import { mcpStart } from './mcp/start.ts'
import { mcpTokens } from './mcp/tokens.ts'
import { mcpToolsList } from './mcp/tools-list.ts'
import { protocolSign } from './protocol/sign.ts'
import { protocolVerify } from './protocol/verify.ts'
import { serverFirstToken } from './server/first-token.ts'
import { serverRequest } from './server/request.ts'
import { slotCold } from './slot/cold.ts'
import { slotExit } from './slot/exit.ts'
import { slotFirstByte } from './slot/first-byte.ts'
import { slotThroughput } from './slot/throughput.ts'
import { wasmFresh } from './wasm/fresh.ts'
import { wasmWarm } from './wasm/warm.ts'

/** Every benchmark, in the order they run. */
export const benches: readonly Bench[] = [
  protocolSign,
  protocolVerify,
  gasLone,
  gasLane100,
  gasLane1000,
  gasPayers100,
  gasLock100,
  gasClaim,
  gasClaimLone,
  jobWasm,
  jobThroughput,
  jobContainer,
  slotFirstByte,
  slotExit,
  slotCold,
  slotThroughput,
  serverRequest,
  serverFirstToken,
  gatewayFirstToken,
  gatewayRequest,
  gatewayStreams50,
  gatewayThroughput,
  wasmWarm,
  wasmFresh,
  mcpStart,
  mcpToolsList,
  mcpReadCall,
  mcpMemory,
  mcpTokens,
  mcpInstall,
]
