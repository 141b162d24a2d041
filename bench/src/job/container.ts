import { join } from 'node:path'
import { defineBench } from '../bench/define-bench.ts'
import { describeSpread, measureRounds, median } from '../bench/rounds.ts'
import { inFolder, startJobMarket } from './job-market.ts'
import { timeProcess } from './time-process.ts'
import { dockerRunArguments, importTinyImage } from './tiny-image.ts'
import { writeContainerModule } from './tiny-module.ts'

export const jobContainer = defineBench({
  name: 'job.container',
  unit: 'ms',
  summary: 'one tiny container job from order to verified receipt, whole network, against `docker run --rm`',
  goal: { of: 'ratio', atMost: 0.25 },
  run: ({ runs = 20, onStep, signal }) =>
    inFolder(async (folder) => {
      const image = await importTinyImage(folder)
      if ('skipped' in image) return image
      try {
        const moduleFolder = join(folder, 'module')
        await writeContainerModule(moduleFolder, 'bench-container', image)
        const market = await startJobMarket({ moduleFolder, module: 'bench-container', onStep, signal })
        try {
          const rounds = await measureRounds({
            runs,
            warmups: 2,
            restMilliseconds: 300,
            signal,
            ours: () => market.timeJob(),
            reference: () => timeProcess('docker', dockerRunArguments(image.digest)),
          })
          return {
            ours: median(rounds.ours),
            reference: median(rounds.reference),
            referenceName: '`docker run --rm --network none` of the same image and arguments',
            runs,
            notes: [
              'neither the quote nor the acknowledgement, which nobody waits for, is in the time',
              describeSpread(rounds),
            ],
          }
        } finally {
          await market.close()
        }
      } finally {
        await image.remove()
      }
    }),
})
