import { join } from 'node:path'
import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { bareWasmName, openBareWasm } from './bare-wasm.ts'
import { inFolder, startJobMarket } from './job-market.ts'
import { writeWasmModule } from './tiny-module.ts'

const jobsAtOnce = 50
const bareRuns = 20

export const jobThroughput = defineBench({
  name: 'job.throughput',
  unit: 'jobs/s',
  summary: `${jobsAtOnce} tiny WASM jobs ordered at once by one client, until the last is acknowledged, against bare processes one after another`,
  goal: null,
  run: ({ runs = 3, onStep, signal }) =>
    inFolder(async (folder) => {
      const moduleFolder = join(folder, 'module')
      const programPath = await writeWasmModule(moduleFolder, 'bench-throughput')
      const timeBare = await openBareWasm(folder, programPath)
      const market = await startJobMarket({ moduleFolder, module: 'bench-throughput', onStep, signal })
      try {
        const rounds = await measureRounds({
          runs,
          warmups: 1,
          restMilliseconds: 1000,
          signal,
          async ours() {
            const quotes = await Promise.all(Array.from({ length: jobsAtOnce }, () => market.quote()))
            const start = performance.now()
            await Promise.all(quotes.map((quoteId) => market.complete(quoteId)))
            return (jobsAtOnce * 1000) / (performance.now() - start)
          },
          async reference() {
            const start = performance.now()
            for (let run = 0; run < bareRuns; run++) await timeBare()
            return (bareRuns * 1000) / (performance.now() - start)
          },
        })
        return {
          ours: median(rounds.ours),
          reference: median(rounds.reference),
          referenceName: `${bareWasmName}; ${bareRuns} one after another`,
          runs,
          notes: [
            'quotes are not in the time; the provider runs as many at once as its default',
            describeSpread(rounds),
          ],
        }
      } finally {
        await market.close()
      }
    }),
})
