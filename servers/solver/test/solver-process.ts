// A solver in a process of its own, so that a test can kill it. Prints its address and serves until it is told to stop.
import { createMemoryChain } from '../src/chain/memory-chain.ts'
import { startSolver } from '../src/start-solver.ts'
import { actors, contracts, domain, manifestDigest, moduleManifest, moduleVersion } from './fixtures.ts'
import { testConfig } from './harness.ts'
import { createSolverClient } from '@lilypad-agents/sdk'

const chain = createMemoryChain({ chainId: domain.chainId })
chain.publish(moduleVersion, { manifestDigest, author: actors.stranger.address })
chain.setBalance(actors.payer.address, contracts.lilyToken, { balance: 10n ** 18n })
const solver = await startSolver(testConfig(process.argv[2] ?? ''), { chain })
await createSolverClient({ url: solver.url, domain }).publishModule(moduleManifest)
process.on('SIGTERM', () => void solver.close().then(() => process.exit(0)))
process.stdout.write(`${solver.url}\n`)
