import { utimesSync, writeFileSync } from 'node:fs'
import { openClient, openStateDirectory } from '@lilypad-agents/cli'
import { LilypadError } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { pause } from './pause.ts'
import { openPromiseFile } from './promise-file.ts'

/**
 * A requester under load, as a process of its own that a lane kills: orders without an end, and finishes first what an
 * earlier life of it left open.
 */
const [stateDirectory = '', beatFile = '', promiseFile = '', workersText = '2', extraModule] = process.argv.slice(2)
installNativeCrypto()
const lilypad = openClient(openStateDirectory(stateDirectory))
const promise = openPromiseFile(promiseFile)

// The lane sees by it that this life of the process does work.
writeFileSync(beatFile, String(process.pid))
const beat = () => utimesSync(beatFile, new Date(), new Date())

async function finishOpenJobs(): Promise<never> {
  for (;;) {
    await lilypad.resume({ timeoutSeconds: 0 }).catch(() => [])
    beat()
    await pause(1000)
  }
}

async function work(worker: number): Promise<never> {
  for (let turn = 0; ; turn += 1) {
    try {
      const module =
        turn % 5 === worker ? 'lane-slow' : turn % 3 === worker ? (extraModule ?? 'lane-echo') : 'lane-echo'
      const { quote } = await lilypad.quote({ module, inputs: { text: `${process.pid}.${worker}.${turn}` } })
      const { orderHash } = await lilypad.order(quote.quoteId)
      promise(`ordered ${orderHash}`)
      await lilypad.complete(orderHash, { timeoutSeconds: 20 })
      promise(`completed ${orderHash}`)
      beat()
    } catch (error) {
      if (!LilypadError.is(error)) throw error
      // What was signed is in the store and is finished by the other loop.
      await pause(300)
    }
    await pause(100)
  }
}

await Promise.all([finishOpenJobs(), ...Array.from({ length: Number(workersText) }, (_, worker) => work(worker))])
