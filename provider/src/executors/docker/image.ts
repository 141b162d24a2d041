import type { ModuleRuntime } from '@lilypad-agents/protocol'
import type Docker from 'dockerode'
import { ExecutorUnavailableError, ImageMissingError } from '../errors.ts'
import { engineFailure, statusOf } from './engine.ts'

/** An image that is here and asks for nothing that the profile cannot bound. */
export type Image = {
  readonly id: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  /** `NAME=value` lines. */
  readonly environment: readonly string[]
}

/**
 * Finds the image of a module by its id.
 * @throws ImageMissingError when it is not here, ExecutorUnavailableError when it cannot be kept in
 */
export async function findImage(docker: Docker, runtime: ModuleRuntime): Promise<Image> {
  if (runtime.kind !== 'container') throw new ExecutorUnavailableError('docker', 'it runs container images only')
  const { digest, reference } = runtime.image
  const image = await docker
    .getImage(digest)
    .inspect()
    .catch((error: unknown) => {
      throw statusOf(error) === 404 ? new ImageMissingError(digest, reference, error) : engineFailure(error)
    })
  if (image.Id !== digest) throw new ImageMissingError(digest, reference)
  // A declared volume would be a writable folder of the host without any limit.
  if (Object.keys(image.Config?.Volumes ?? {}).length > 0)
    throw new ExecutorUnavailableError('docker', 'the image declares volumes')
  const entrypoint: string | readonly string[] = image.Config?.Entrypoint ?? []
  return {
    id: digest,
    entrypoint: typeof entrypoint === 'string' ? [entrypoint] : entrypoint,
    command: image.Config?.Cmd ?? [],
    environment: image.Config?.Env ?? [],
  }
}

/** The command line as the engine puts it together: arguments take the place of the image's command, not of its entrypoint. */
export function commandLine(image: Image, args: readonly string[]): readonly string[] {
  return [...image.entrypoint, ...(args.length > 0 ? args : image.command)]
}
