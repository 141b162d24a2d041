import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { bareWasmName } from '../job/bare-wasm.ts'
import { onWasmWorkbench } from './wasm-workbench.ts'

export const wasmFresh = defineBench({
  name: 'wasm.fresh',
  unit: 'ms',
  summary: 'result with outputs of a tiny WASM job that nothing was made ready for, against a bare process',
  goal: null,
  run: ({ runs = 31, signal }) =>
    onWasmWorkbench(async (bench) => {
      const rounds = await measureRounds({
        runs,
        warmups: 3,
        restMilliseconds: 100,
        signal,
        ours: () => bench.runJob('fresh'),
        reference: () => bench.runBare(),
      })
      return {
        ours: median(rounds.ours),
        reference: median(rounds.reference),
        referenceName: bareWasmName,
        runs,
        notes: [describeSpread(rounds)],
      }
    }),
})
