import { NoopExecutor } from '../src/executors/noop/noop-executor.ts'
import { readConfig } from '../src/config.ts'
import { pause } from '../src/connection/backoff.ts'
import { killAt } from '../src/fault/fault-point.ts'
import { createLogger } from '../src/log/logger.ts'
import { startProvider } from '../src/start-provider.ts'
import { cannedOutputs } from './canned-run.ts'

/** Takes its time to make a module ready, as a big one does after a restart. */
class SlowlyPreparedExecutor extends NoopExecutor {
  override async prepare(...given: Parameters<NoopExecutor['prepare']>): Promise<void> {
    await pause(Number(process.env.TEST_PREPARE_MILLISECONDS ?? 0))
    return super.prepare(...given)
  }
}

/** The provider as a process of its own, with canned runs: something that a test can kill. */
const {
  executors: _,
  logLevel,
  fault,
  slots,
  solver: _solver,
  ...config
} = readConfig({ args: [], environment: process.env })
const provider = await startProvider({
  ...config,
  slots: slots ?? 2,
  executors: [
    new SlowlyPreparedExecutor({
      // Outputs above the bound of small ones are uploaded before the receipt.
      outputs:
        process.env.TEST_LARGE_OUTPUT === '1' ? { ...cannedOutputs, 'large.txt': 'c'.repeat(60_000) } : cannedOutputs,
      stdout: 'working\n',
      milliseconds: 150,
      ticks: {
        count: Number(process.env.TEST_TICKS ?? 0),
        milliseconds: 30,
        text: (index) => `tick ${index}\n`,
      },
    }),
  ],
  log: createLogger(logLevel),
  reach: killAt(fault),
})
process.once('SIGTERM', () => {
  provider.close().then(
    () => process.exit(0),
    () => process.exit(1),
  )
})
