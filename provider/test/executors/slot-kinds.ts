import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { DockerExecutor } from '../../src/executors/docker/docker-executor.ts'
import type { Execution, ExecutorTask, RunOptions } from '../../src/executors/executor.ts'

/** Who starts the container of a slot. Both must look alike to a job. */
export const slotKinds = ['engine', 'copied'] as const
export type SlotKind = (typeof slotKinds)[number]

/** Why this machine cannot copy slots, or undefined when it can. Starts nothing. */
export async function findCopyProblem(): Promise<string | undefined> {
  const executor = new DockerExecutor({
    stateDirectory: join(tmpdir(), `lilypad-probe-${process.pid}`),
    nodeId: 'probe',
  })
  const probe = await executor.probe()
  if (!probe.available) return probe.reason
  return probe.facts['slots'] === 'copied' ? undefined : probe.facts['slots']
}

/** Runs each job in a copied slot, also one that nobody prepared. */
export class CopyingExecutor extends DockerExecutor {
  readonly #prepared = new Set<string>()

  override async prepare(...[runtime, path, options = {}]: Parameters<DockerExecutor['prepare']>): Promise<void> {
    await super.prepare(runtime, path, options)
    this.#prepared.add(keyOf(runtime, options))
  }

  override async run(task: ExecutorTask, options?: RunOptions): Promise<Execution> {
    const { runtime, limits, network } = task
    const wanted = { limits, ...(network === undefined ? {} : { network }) }
    if (!this.#prepared.has(keyOf(runtime, wanted))) await this.prepare(runtime, undefined, wanted)
    return super.run(task, options)
  }
}

const keyOf = (...facts: readonly unknown[]) => JSON.stringify([...facts, process.getuid?.()])

/** A slot that waits or runs a job. */
export type OpenSlot = { readonly hostname: string; readonly memoryBytes: number; kill(): Promise<void> }

/** Slots of a node but patterns, which serve no job. */
export async function listOpenSlots(
  kind: SlotKind,
  { nodeId, stateDirectory }: { readonly nodeId: string; readonly stateDirectory: string },
): Promise<readonly OpenSlot[]> {
  return kind === 'engine' ? listByEngine(nodeId) : listCopies(join(stateDirectory, 'docker'))
}

async function listByEngine(nodeId: string): Promise<readonly OpenSlot[]> {
  const docker = new Docker()
  const found = await docker.listContainers({ filters: { label: [`lilypad.node=${nodeId}`] } })
  const slots = await Promise.all(
    found
      .map(async ({ Id }) => {
        const container = docker.getContainer(Id)
        const { HostConfig } = await container.inspect()
        return {
          hostname: Id.slice(0, 12),
          memoryBytes: HostConfig.Memory ?? 0,
          kill: async () => void (await container.kill()),
        }
      })
      .map((slot) => slot.catch(() => undefined)),
  )
  return slots.filter((slot) => slot !== undefined)
}

async function listCopies(folder: string): Promise<readonly OpenSlot[]> {
  const places = await readdir(folder).catch(() => [])
  const slots = places.map(async (place): Promise<OpenSlot | undefined> => {
    const bundle = join(folder, place, 'bundle')
    const [pid, text] = await Promise.all([
      readFile(join(bundle, 'pid'), 'utf8').then(Number),
      readFile(join(bundle, 'config.json'), 'utf8'),
    ])
    const { hostname, linux } = JSON.parse(text)
    const state = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]
    return state?.startsWith('Z')
      ? undefined
      : { hostname, memoryBytes: linux.resources.memory.limit, kill: async () => void process.kill(pid, 'SIGKILL') }
  })
  const found = await Promise.all(slots.map((slot) => slot.catch(() => undefined)))
  return found.filter((slot) => slot !== undefined)
}
