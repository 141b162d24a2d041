import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Bytes32 } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import type { Lilypad } from '@lilypad-agents/sdk'
import { startTestNetwork } from '@lilypad-agents/testkit'

/** A whole network on this machine, and a client with a key and a store on disk. */
export type JobMarket = {
  /** Quotes a job of the module. */
  quote(): Promise<Bytes32>
  /** Orders a quote and brings it to the verified and acknowledged receipt. */
  complete(quoteId: Bytes32): Promise<void>
  /** Milliseconds from order to verified receipt; the acknowledgement comes after the clock has stopped. */
  timeJob(): Promise<number>
  close(): Promise<void>
}

/** Does work in a folder that is gone afterwards. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'lilypad-bench-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function waitForOffer(lilypad: Lilypad, module: string, signal: AbortSignal): Promise<void> {
  for (const until = Date.now() + 60_000; Date.now() < until; await pause(100, undefined, { signal })) {
    const { offers } = await lilypad.getModule(module)
    if (offers.length > 0) return
  }
  throw new TypeError(`no provider offers ${module}: the provider's log says why`)
}

/** Starts the network with one module and waits until it can be bought. */
export async function startJobMarket(options: {
  readonly moduleFolder: string
  readonly module: string
  readonly onStep: (step: string) => void
  readonly signal: AbortSignal
}): Promise<JobMarket> {
  const { moduleFolder, module, onStep, signal } = options
  installNativeCrypto()
  onStep('starting a network')
  const network = await startTestNetwork({ modules: [moduleFolder] })
  let lilypad: Lilypad | undefined
  const close = async () => {
    await lilypad?.close()
    await network.close()
  }
  try {
    const client = network.openClient()
    lilypad = client
    await waitForOffer(client, module, signal)
    const quote = async () => (await client.quote({ module, inputs: {} })).quote.quoteId
    const complete = async (quoteId: Bytes32) => {
      const { orderHash } = await client.order(quoteId)
      const { verification, outputs } = await client.complete(orderHash, { timeoutSeconds: 60, signal })
      if (!verification.ok || outputs.length !== 1) throw new TypeError('the job gave no verified result')
    }
    onStep('measuring')
    return {
      quote,
      complete,
      async timeJob() {
        const quoteId = await quote()
        const start = performance.now()
        const { orderHash } = await client.order(quoteId)
        await client.getJob(orderHash, { waitSeconds: 60, signal })
        const { ok } = await client.verify(orderHash)
        const milliseconds = performance.now() - start
        if (!ok) throw new TypeError('the job gave no verified result')
        await client.complete(orderHash, { timeoutSeconds: 60, signal })
        return milliseconds
      },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
