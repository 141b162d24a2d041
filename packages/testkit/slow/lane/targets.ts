import { readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { answersRpc, type Child, type LocalNetwork, startChild } from '@lilypad-agents/cli'
import { z } from 'zod'
import type { Target } from './killer.ts'

const NetworkAnswer = z.object({ providersConnected: z.int() })

/** Whether a server answers with a good status. */
export const answers = async (url: string) => (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok

/** A process of the network by its name. */
export function findChild(network: LocalNetwork, name: string): Child {
  const found = network.children[name]
  if (!found) throw new Error(`the network has no ${name}`)
  return found
}

export function solverTarget(network: LocalNetwork): Target {
  const url = `${network.network.solverUrl}/health`
  return { name: 'solver', pid: findChild(network, 'solver').pid, isReady: () => answers(url) }
}

/** A provider works again once the solver has it on the line. */
export function providerTarget(network: LocalNetwork): Target {
  const url = `${network.network.solverUrl}/network`
  const isReady = async () => NetworkAnswer.parse(await (await fetch(url)).json()).providersConnected > 0
  return { name: 'provider', pid: findChild(network, 'provider').pid, isReady }
}

export function chainTarget(network: LocalNetwork): Target {
  const { rpcUrl } = network.network
  return { name: 'chain', pid: findChild(network, 'local chain').pid, isReady: () => answersRpc(rpcUrl) }
}

/** A requester as a process of its own: it has made its mark, and has finished something a moment ago. */
export function requesterTarget(load: Child, beatFile: string): Target {
  const isReady = async () =>
    readFileSync(beatFile, 'utf8') === String(load.pid()) && Date.now() - statSync(beatFile).mtimeMs < 3000
  return { name: 'requester', pid: load.pid, isReady }
}

/** Starts a requester that orders without an end, now and then a job of another module. */
export function startRequester(
  network: LocalNetwork,
  options: { readonly beatFile: string; readonly promiseFile: string; readonly extraModule?: string },
): Promise<Child> {
  const { beatFile, promiseFile, extraModule } = options
  return startChild({
    name: 'requester',
    command: process.execPath,
    args: [
      '--disable-warning=ExperimentalWarning',
      '--conditions=source',
      fileURLToPath(new URL('./load-process.ts', import.meta.url)),
      network.state.path,
      beatFile,
      promiseFile,
      '3',
      ...(extraModule === undefined ? [] : [extraModule]),
    ],
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
    logFile: network.state.logFile('requester'),
    isReady: async () => readFileSync(beatFile, 'utf8').length > 0,
  })
}
