import { randomBytes } from 'node:crypto'
import { chmod, copyFile, link, mkdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ModuleLimits } from '@lilypad-agents/protocol'
import { removeTree } from '../../outputs/remove-tree.ts'
import type { ExecutorTask } from '../executor.ts'
import { findProcess, isAlive } from '../process-identity.ts'
import { createOutputVolume, type OutputVolume } from './output-volume.ts'

/** Folder of one container: what stands behind its `/in` and `/out`. */
export type JobPlace = {
  /** Name of the container and of the folder. */
  readonly name: string
  readonly folder: string
  readonly inputFolder: string
  readonly volume: OutputVolume
}

/** The folder of a place that its container sees as the folder of the slot. */
export const slotFolder = (placeFolder: string) => join(placeFolder, 'lp')

let self: ReturnType<typeof findProcess> | undefined

/** A name that says which process owns the container, so that those of killed providers can be told apart. */
async function nameContainer(): Promise<string> {
  self ??= findProcess(process.pid)
  return `lilypad-${process.pid}-${(await self)?.startTime ?? 0}-${randomBytes(8).toString('hex')}`
}

/** Whether a living process owns the container of this name. */
export async function isOwned(name: string): Promise<boolean> {
  const match = /^lilypad-(\d+)-(\d+)-[0-9a-f]{16}$/.exec(name)
  return (
    match?.[1] !== undefined &&
    match[2] !== undefined &&
    (await isAlive({ pid: Number(match[1]), startTime: match[2] }))
  )
}

/** Makes the place of one container. `furnish` adds to the folder while the output volume is made. */
export async function createJobPlace(
  jobsFolder: string,
  limits: ModuleLimits,
  options: {
    readonly furnish?: (folder: string) => Promise<unknown>
    /** @default a folder that a container is given */
    readonly createVolume?: typeof createOutputVolume | undefined
  } = {},
): Promise<JobPlace> {
  const { furnish = async () => {}, createVolume = createOutputVolume } = options
  const name = await nameContainer()
  const folder = join(jobsFolder, name)
  const inputFolder = join(folder, 'in')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await mkdir(inputFolder, { mode: 0o755 })
  const [made, furnished] = await Promise.allSettled([createVolume(folder, limits), furnish(folder)])
  if (made.status === 'fulfilled' && furnished.status === 'fulfilled')
    return { name, folder, inputFolder, volume: made.value }
  if (made.status === 'fulfilled') await made.value.release()
  await removeTree(folder)
  throw made.status === 'rejected' ? made.reason : (furnished as PromiseRejectedResult).reason
}

/** Takes the place down. Its container must be gone. */
export async function removeJobPlace({ folder, volume }: JobPlace): Promise<void> {
  await volume.release()
  await removeTree(folder)
}

/** Links inputs into the folder behind `/in`, or copies those that a link would not make readable. */
export async function placeInputs(inputFolder: string, inputs: ExecutorTask['inputs']): Promise<void> {
  for (const { path, source } of inputs) {
    const target = join(inputFolder, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o755 })
    const { mode } = await stat(source)
    // A link shares its mode with the store, so only what everyone may read and nobody write is linked.
    const canLink = (mode & 0o777) === 0o444
    if (
      canLink &&
      (await link(source, target).then(
        () => true,
        () => false,
      ))
    )
      continue
    await copyFile(source, target)
    await chmod(target, 0o444)
  }
}
