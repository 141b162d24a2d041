import type { ModuleLimits } from '@lilypad-agents/protocol'
import type Docker from 'dockerode'
import { ImageMissingError } from '../errors.ts'
import { judgeExit } from './cold-run.ts'
import { type ContainerFacts, containerOptions } from './container-options.ts'
import { createContainer, removeContainer } from './engine.ts'
import { slotFolder } from './job-place.ts'
import type { SlotLauncher } from './slot-container.ts'

/** Slots that the engine creates and starts. */
export function engineLauncher(
  docker: Docker,
  limits: ModuleLimits,
  facts: Omit<ContainerFacts, 'place'>,
): SlotLauncher {
  return {
    runtime: facts.runtime,
    container: (place) => {
      const container = docker.getContainer(place.name)
      const program = { kind: 'slot', folder: slotFolder(place.folder) } as const
      return {
        start: async () => {
          const created = await createContainer(docker, containerOptions(limits, program, { ...facts, place }))
          const [{ Image }] = await Promise.all([created.inspect(), created.start()])
          if (Image !== facts.image.id) throw new ImageMissingError(facts.image.id, Image)
        },
        kill: () => void container.kill({ signal: 'SIGKILL' }).catch(() => {}),
        ended: async () => ((await container.wait()) as { StatusCode: number }).StatusCode,
        judge: (code) => judgeExit(container, code),
        remove: () => removeContainer(container),
      }
    },
  }
}
