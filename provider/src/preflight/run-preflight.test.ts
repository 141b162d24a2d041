import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner, isAttestationSigned, listMissedChecks } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ImageMissingError } from '../executors/errors.ts'
import type { Execution, Executor, ExecutorTask } from '../executors/executor.ts'
import type { PreflightEngine } from './preflight-engine.ts'
import { runPreflight } from './run-preflight.ts'

installNativeCrypto()
const signer = createSigner(`0x${'11'.repeat(32)}`)
const domain = { chainId: 31_337, vault: `0x${'22'.repeat(20)}` } as const
const imageId = `sha256:${'a'.repeat(64)}`
const engine: PreflightEngine = {
  load: async () => imageId,
  describe: async () => ({ runtimeVersion: '1.3.3', securityOptions: ['name=seccomp', 'name=userns'] }),
}
let folder: string
let facts: Record<string, string>
let runs: number
let seconds: number

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-preflight-'))
  facts = { architecture: 'x86_64', engine: 'docker 28.2.2', runtime: 'runc', kernel: '6.18.0', cgroup: '2' }
  runs = 0
  seconds = 1_800_000_000
})
afterEach(() => rm(folder, { recursive: true, force: true }))

/** Runs nothing: every program is silent and ends by itself, as in a sandbox that is not there. */
const silent: Executor = {
  name: 'docker',
  probe: async () => ({ available: true, facts }),
  prepare: async (runtime) => {
    const digest = runtime.kind === 'container' ? runtime.image.digest : ''
    if (digest !== imageId) throw new ImageMissingError(imageId, digest)
  },
  run: async (task: ExecutorTask): Promise<Execution> => {
    runs += 1
    const log = { bytes: 0, sha256: `0x${'0'.repeat(64)}`, truncated: false } as const
    const [stdoutPath, stderrPath] = [`${task.outputDirectory}.stdout.log`, `${task.outputDirectory}.stderr.log`]
    await writeFile(stdoutPath, '')
    return {
      outcome: { kind: 'exited', code: 0 },
      outputs: [],
      logs: { stdout: log, stderr: log },
      stdoutPath,
      stderrPath,
      startedAt: 0,
      finishedAt: 1,
      isolation: {},
    }
  },
  sweep: async () => {},
  close: async () => {},
}
const preflight = (changes: Partial<Parameters<typeof runPreflight>[0]> = {}) =>
  runPreflight({
    executor: silent,
    engine,
    signer,
    domain,
    stateDirectory: folder,
    now: () => new Date(seconds * 1000),
    ...changes,
  })

test('a sandbox that says nothing is not taken for one that holds', async () => {
  await expect(preflight()).rejects.toMatchObject({
    name: 'PreflightFailedError',
    code: 'EXECUTOR_UNAVAILABLE',
    retryable: false,
    details: expect.arrayContaining([
      'Check: capabilities   Expected: no capability, and nothing that needs one   Actual: not-run, no answer to capabilities',
      'Check: memory   Expected: killed at the limit of memory   Actual: failed, the run ended as exited',
      'Fix for memory: turn on the memory controller of control groups, and swap accounting',
    ]),
  })
})

test('a failed report is kept, signed, and never stands for the next start', async () => {
  await preflight().catch(() => {})
  const first = runs
  const signed = JSON.parse(await readFile(join(folder, 'preflight.json'), 'utf8'))
  expect([isAttestationSigned(signed, domain), signed.provider]).toEqual([true, signer.address])
  expect(listMissedChecks(signed.report).length).toBeGreaterThan(20)
  await preflight().catch(() => {})
  expect(runs).toBe(2 * first)
})

test('what has not run in time counts as failed', async () => {
  const slow: Executor = { ...silent, run: (task, { signal } = {}) => waitFor(signal).then(() => silent.run(task)) }
  const startedAt = performance.now()
  await expect(preflight({ executor: slow, timeoutMilliseconds: 50 })).rejects.toMatchObject({
    details: expect.arrayContaining([expect.stringContaining('Actual: not-run, no run of probes')]),
  })
  expect(performance.now() - startedAt).toBeLessThan(5000)
  expect(runs).toBeLessThanOrEqual(3)
})

test('an engine that is not there, or of a kind without attacks, is said to be so', async () => {
  const down: Executor = { ...silent, probe: async () => ({ available: false, reason: 'the engine does not answer' }) }
  await expect(preflight({ executor: down })).rejects.toMatchObject({ reason: 'the engine does not answer' })
  facts = { ...facts, architecture: 'riscv64' }
  await expect(preflight()).rejects.toMatchObject({ reason: 'no attack program for riscv64' })
})

function waitFor(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }))
}
