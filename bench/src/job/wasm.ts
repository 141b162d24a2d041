import { join } from 'node:path'
import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { bareWasmName, openBareWasm } from './bare-wasm.ts'
import { inFolder, startJobMarket } from './job-market.ts'
import { writeWasmModule } from './tiny-module.ts'

export const jobWasm = defineBench({
  name: 'job.wasm',
  unit: 'ms',
  summary: 'one tiny WASM job from order to verified receipt, whole network, against a bare process',
  goal: null,
  run: ({ runs = 30, onStep, signal }) =>
    inFolder(async (folder) => {
      const moduleFolder = join(folder, 'module')
      const programPath = await writeWasmModule(moduleFolder, 'bench-wasm')
      const reference = await openBareWasm(folder, programPath)
      const market = await startJobMarket({ moduleFolder, module: 'bench-wasm', onStep, signal })
      try {
        const rounds = await measureRounds({
          runs,
          warmups: 3,
          restMilliseconds: 300,
          signal,
          reference,
          ours: () => market.timeJob(),
        })
        return {
          ours: median(rounds.ours),
          reference: median(rounds.reference),
          referenceName: bareWasmName,
          runs,
          notes: ['the quote is not in the time', describeSpread(rounds)],
        }
      } finally {
        await market.close()
      }
    }),
})
