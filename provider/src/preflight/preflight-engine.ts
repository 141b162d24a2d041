import { Readable } from 'node:stream'
import { connectEngine } from '../executors/docker/connect-engine.ts'
import { ExecutorUnavailableError } from '../executors/errors.ts'
import type { AttackImage } from './attack-image.ts'

/** What a preflight needs of the engine besides running jobs. */
export interface PreflightEngine {
  /** Puts the image into the engine, from memory. Resolves to the id by which jobs name it. */
  load(image: AttackImage): Promise<string>
  describe(): Promise<{ readonly runtimeVersion: string | undefined; readonly securityOptions: readonly string[] }>
}

type Version = { readonly Components?: readonly { readonly Name: string; readonly Version: string }[] }
type Info = { readonly DefaultRuntime?: string; readonly SecurityOptions?: readonly string[] }

/** The engine behind a socket. Nothing is pulled. */
export function createPreflightEngine(
  options: {
    /** @default '/var/run/docker.sock' */
    readonly socketPath?: string
  } = {},
): PreflightEngine {
  const docker = connectEngine(options.socketPath)
  return {
    async load({ tag, archive }) {
      try {
        const stream = await docker.loadImage(Readable.from([archive]))
        await new Promise<void>((resolve, reject) =>
          docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve())),
        )
        return (await docker.getImage(tag).inspect()).Id
      } catch (error) {
        throw new ExecutorUnavailableError('docker', 'the engine does not take the image of the preflight', error)
      }
    },
    async describe() {
      const [version, info] = await Promise.all([
        docker.version() as Promise<Version>,
        docker.info() as Promise<Info>,
      ]).catch((error: unknown) => {
        throw new ExecutorUnavailableError('docker', 'the engine does not answer', error)
      })
      // The engine names the version of runc also where another runtime is used.
      const runtime = version.Components?.find(({ Name }) => Name === info.DefaultRuntime)
      return { runtimeVersion: runtime?.Version, securityOptions: info.SecurityOptions ?? [] }
    },
  }
}
