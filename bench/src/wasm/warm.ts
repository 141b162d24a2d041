import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { floorName, onWasmWorkbench } from './wasm-workbench.ts'

export const wasmWarm = defineBench({
  name: 'wasm.warm',
  unit: 'ms',
  summary:
    'result with outputs of a tiny WASM job in a waiting process of its own, against the same program in process',
  goal: { of: 'ours', atMost: 1 },
  run: ({ runs = 101, signal }) =>
    onWasmWorkbench(async (bench) => {
      const rounds = await measureRounds({
        runs,
        warmups: 20,
        restMilliseconds: 20,
        signal,
        async ours() {
          await bench.warm()
          return bench.runJob('slot')
        },
        reference: () => bench.runInProcess(),
      })
      return {
        ours: median(rounds.ours),
        reference: median(rounds.reference),
        referenceName: floorName,
        runs,
        notes: ['starting the process that waits is not in the time', describeSpread(rounds)],
      }
    }),
})
