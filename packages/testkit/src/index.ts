export { type Actor, startTestChain, type TestChain } from './test-chain.ts'
export { startTestNetwork, type TestNetwork } from './test-network.ts'
