import {
  listPreflightWarnings,
  type SignedAttestation,
  type Signer,
  type SigningDomain,
} from '@lilypad-agents/protocol'
import { DockerExecutor } from '../executors/docker/docker-executor.ts'
import type { Availability, Executor } from '../executors/executor.ts'
import { ServerExecutor } from '../executors/server/server-executor.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { createPreflightEngine } from './preflight-engine.ts'
import { PreflightFailedError, runPreflight } from './run-preflight.ts'

export type ProbedExecutor = { readonly executor: Executor; readonly probe: Availability }

/** Looks which executors can be used here. Containers can only when the attacks on their sandbox were kept in. */
export async function probeExecutors(
  executors: readonly Executor[],
  options: {
    readonly signer: Signer
    readonly domain: SigningDomain
    /** Folder of the signed report, which is good for a day. */
    readonly stateDirectory: string
    readonly log: Logger
    /** Takes the signed report, whether it is good or bad. */
    readonly onAttestation: (attestation: SignedAttestation) => void
  },
): Promise<readonly ProbedExecutor[]> {
  const { signer, domain, stateDirectory, log, onAttestation } = options
  const probed = await Promise.all(
    executors.map(async (executor): Promise<ProbedExecutor> => {
      const probe = await executor.probe()
      if (!(executor instanceof DockerExecutor) || !probe.available) return { executor, probe }
      try {
        const engine = createPreflightEngine(executor)
        const now = () => new Date()
        const attestation = await runPreflight({ executor, engine, signer, domain, stateDirectory, now })
        onAttestation(attestation)
        for (const { id, found } of listPreflightWarnings(attestation.report))
          log.warn({ event: 'preflight.warning', check: id, found }, 'the sandbox could be tighter')
        return { executor, probe }
      } catch (error) {
        if (error instanceof PreflightFailedError) onAttestation(error.attestation)
        log.error({ event: 'preflight.failed', ...failureFacts(error) }, 'no container jobs are taken')
        return { executor, probe: { available: false, reason: 'the preflight failed' } }
      }
    }),
  )
  const keepsIn = probed.some(({ executor, probe }) => executor.name === 'docker' && probe.available)
  return Promise.all(
    probed.map(async ({ executor, probe }): Promise<ProbedExecutor> => {
      if (!(executor instanceof ServerExecutor)) return { executor, probe }
      // Their containers have the same walls, and the same attacks would go through them.
      executor.allowContainers(keepsIn)
      return { executor, probe: await executor.probe() }
    }),
  )
}
