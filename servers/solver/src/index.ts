export type { Chain, ChainAccount, ChainGrant, ChainSettlement, ChainVersion } from './chain/chain.ts'
export { createMemoryChain, type MemoryChain } from './chain/memory-chain.ts'
export { parseSolverConfig, readConfig, SolverConfig, type ParsedSolverConfig } from './config.ts'
export { startSolver, type RunningSolver, type SolverDependencies } from './start-solver.ts'
