import { availableParallelism } from 'node:os'
import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { describeIdleMemory } from './idle-memory.ts'
import { dockerRunName, onSlotWorkbench } from './slot-workbench.ts'

const jobsQueued = 100
const dockerRuns = 10
/** As a provider sets it up that runs this many at once. */
const atOnce = 2 * availableParallelism()

export const slotThroughput = defineBench({
  name: 'slot.throughput',
  unit: 'jobs/s',
  summary: `${jobsQueued} hardened container jobs queued at once, until the last result, against a loop of \`docker run --rm\``,
  goal: { of: 'ratio', atLeast: 5 },
  run: ({ runs = 3, signal }) =>
    onSlotWorkbench({ warmSlots: atOnce }, async (bench) => {
      const rounds = await measureRounds({
        runs,
        warmups: 1,
        restMilliseconds: 1000,
        signal,
        async ours() {
          await bench.warm()
          const begin = performance.now()
          let left = jobsQueued
          const work = async () => {
            while (left-- > 0) await bench.runJob('slot')
          }
          await Promise.all(Array.from({ length: atOnce }, work))
          return (jobsQueued * 1000) / (performance.now() - begin)
        },
        async reference() {
          const begin = performance.now()
          for (let run = 0; run < dockerRuns; run++) await bench.runDocker()
          return (dockerRuns * 1000) / (performance.now() - begin)
        },
      })
      await bench.warm()
      return {
        ours: median(rounds.ours),
        reference: median(rounds.reference),
        referenceName: `${dockerRunName}; ${dockerRuns} one after another`,
        runs,
        notes: [
          `${atOnce} jobs at once, ${atOnce} slots wait when the first is taken; opening all others and removing the used ones is in the time`,
          await describeIdleMemory({ ...bench, waitingSlots: atOnce }),
          describeSpread(rounds),
        ],
      }
    }),
})
