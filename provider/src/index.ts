export { startProvider, type Provider, type ProviderOptions } from './start-provider.ts'
export { readConfig, type ProviderConfig } from './config.ts'
export { createExecutors, type ExecutorName, type ServerSettings } from './run/create-executors.ts'
export { createTask, type TaskParts } from './run/create-task.ts'
export { DockerExecutor, type DockerExecutorOptions } from './executors/docker/docker-executor.ts'
export { ServerExecutor, type ServerExecutorOptions } from './executors/server/server-executor.ts'
export { WasmExecutor, type WasmExecutorOptions } from './executors/wasm/wasm-executor.ts'
export { NoopExecutor, type CannedRun } from './executors/noop/noop-executor.ts'
export type {
  Availability,
  Execution,
  Executor,
  ExecutorTask,
  Isolation,
  Outcome,
  Progress,
  RunOptions,
  ServerJob,
} from './executors/executor.ts'
export type { ModulePolicy } from './module/module-policy.ts'
export type { Earnings, ProviderStatus } from './earnings/provider-status.ts'
export { listPrices, type ModulePricing, type Pricing } from './ask/pricing.ts'
export type { ExposureCaps } from './order/check-order.ts'
export type { ClaimOptions } from './claim/claim-daemon.ts'
export type { ChainClaim, ClaimChain, ClaimItem, ClaimStatus, ClaimTerms, ProviderStake } from './chain/claim-chain.ts'
export { createViemChain } from './chain/viem-chain.ts'
export { findNodeMoney, type NodeMoney } from './status/node-money.ts'
export { findWarnings, type Warning } from './status/find-warnings.ts'
export { type StatusServer, startStatusServer } from './status/status-server.ts'
export type { DoctorCheck, DoctorStep } from './doctor/check.ts'
export { nodeStep, providerSteps } from './doctor/provider-checks.ts'
export { runDoctor } from './doctor/run-doctor.ts'
export type { EarningsReport } from './earnings/report-earnings.ts'
export type { SettlementOptions } from './settlement/settlement-daemon.ts'
export type { Chain, ChainLane, ChainVersion, IncludedTransaction } from './chain/chain.ts'
export { type FaultPoint, faultPoints, killAt, type ReachPoint } from './fault/fault-point.ts'
export { StateInUseError } from './journal/journal.ts'
export { describeSandbox, findSandbox, type StoredSandbox } from './preflight/find-sandbox.ts'
export { findEarnings, type StoredEarnings } from './earnings/find-earnings.ts'
