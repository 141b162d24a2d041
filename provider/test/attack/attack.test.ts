import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  createSigner,
  isAttestationSigned,
  listMissedChecks,
  listPreflightWarnings,
  type ModuleLimits,
  type ModuleRuntime,
  type SignedAttestation,
} from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DockerExecutor } from '../../src/executors/docker/docker-executor.ts'
import type { Outcome } from '../../src/executors/executor.ts'
import { createAttackImage } from '../../src/preflight/attack-image.ts'
import { attackRuns } from '../../src/preflight/attack-runs.ts'
import { checks, rowsNotRun } from '../../src/preflight/checks.ts'
import { parseProbes } from '../../src/preflight/observation.ts'
import { createPreflightEngine } from '../../src/preflight/preflight-engine.ts'
import { PreflightFailedError, runPreflight } from '../../src/preflight/run-preflight.ts'
import { CopyingExecutor, findCopyProblem } from '../executors/slot-kinds.ts'
import { findEngine, type TestEngine } from './engines.ts'

installNativeCrypto()
const MiB = 1024 ** 2
const signer = createSigner(`0x${'11'.repeat(32)}`)
const domain = { chainId: 31_337, vault: `0x${'22'.repeat(20)}` } as const
const architecture = arch() === 'arm64' ? 'aarch64' : 'x86_64'
const image = createAttackImage(architecture)
// The lane sets it: there, a row that did not run under runc is a failure and not a remark.
const isLane = 'LILYPAD_ATTACK_LANE' in process.env

const runtimes = ['runc', 'crun'] as const
const root = await mkdtemp(join(tmpdir(), 'lilypad-attack-'))
const folderOf = (runtime: string) => join(root, runtime)
const engines = new Map<string, TestEngine>()
for (const runtime of runtimes) {
  const engine = await findEngine(runtime, folderOf(runtime))
  engines.set(runtime, engine)
  if (engine.socketPath === undefined)
    for (const { id, row } of checks) console.warn(`row ${row} (${id}) on ${runtime}: not run: ${engine.reason}`)
}
// Slots of the engine with crun are never copied: it has mounts of its own.
const copyProblem =
  engines.get('runc')?.socketPath === '/var/run/docker.sock'
    ? await findCopyProblem()
    : 'no engine of this machine has runc'
if (copyProblem !== undefined) console.warn(`copied slots: not attacked: ${copyProblem}`)
const targets = [
  { runtime: 'runc', slots: 'created' },
  ...(copyProblem === undefined ? [{ runtime: 'runc', slots: 'copied' } as const] : []),
  { runtime: 'crun', slots: 'created' },
] as const
for (const { row, reason } of rowsNotRun) console.warn(`row ${row}: not run: ${reason}`)
afterAll(async () => {
  for (const engine of engines.values()) if (engine.socketPath !== undefined) await engine.close()
  await rm(root, { recursive: true, force: true })
})

/** Engines tell why a program was killed a moment late or not at all. */
const wasKilled = (outcome: Outcome) =>
  outcome.kind === 'out-of-memory' || (outcome.kind === 'exited' && outcome.code === 137)

test.runIf(isLane)('the lane has an engine with runc to attack', () => {
  expect(engines.get('runc')).toHaveProperty('socketPath', expect.any(String))
})

describe.each(targets)('attacks on $runtime in $slots slots', ({ runtime, slots }) => {
  const engine = engines.get(runtime)
  const { socketPath } = engine ?? {}
  if (socketPath === undefined) {
    test.skip('not run', () => {})
    return
  }
  const nodeId = `attack-${runtime}-${slots}`
  const uncopied: string[] = []
  let stateDirectory: string
  let executor: DockerExecutor
  let digest: string
  let signed: SignedAttestation
  let runs = 0

  beforeAll(async () => {
    if (image === undefined) throw new Error('no attack image')
    stateDirectory = join(folderOf(runtime), slots)
    await mkdir(stateDirectory, { recursive: true })
    const Executor = slots === 'copied' ? CopyingExecutor : DockerExecutor
    const isTried = slots === 'copied' || runtime === 'crun'
    const onUncopied = (reason: string) => uncopied.push(reason)
    executor = new Executor({ stateDirectory, nodeId, socketPath, copySlots: isTried, onUncopied })
    digest = await createPreflightEngine({ socketPath }).load(image)
  })
  afterAll(() => executor?.close())

  const preflight = (isForced: boolean) =>
    runPreflight({
      executor,
      engine: createPreflightEngine({ socketPath }),
      signer,
      domain,
      stateDirectory,
      now: () => new Date(),
      isForced,
      // Other lanes may share the processors.
      timeoutMilliseconds: 60_000,
    })

  async function attack(args: readonly string[], limits: Partial<ModuleLimits> = {}) {
    const outputDirectory = join(stateDirectory, `run-${++runs}`)
    await mkdir(outputDirectory)
    const source = join(stateDirectory, 'data')
    await writeFile(source, 'input')
    const attacker: ModuleRuntime = {
      kind: 'container',
      image: { digest, reference: 'lilypad/preflight' },
      args: [],
      stdin: 'none',
      env: {},
    }
    const execution = await executor.run({
      id: '0x01',
      runtime: attacker,
      args,
      env: {},
      inputs: [{ path: 'data', source }],
      limits: { ...attackRuns.probes.limits, ...limits },
      outputDirectory,
    })
    const probes = parseProbes(await readFile(execution.stdoutPath, 'utf8'))
    return { ...execution, probes, kept: await readdir(outputDirectory) }
  }

  test('the preflight runs every check and contains every required one', async () => {
    signed = await preflight(true).catch((error: unknown) => {
      if (error instanceof PreflightFailedError) console.error(error.message)
      throw error
    })
    const { report } = signed
    expect(report.facts).toMatchObject({ runtime })
    expect(report.checks.map(({ id }) => id)).toEqual(checks.map(({ id }) => id))
    expect(listMissedChecks(report)).toEqual([])
    // Not required of every engine, but kept by these.
    const open = listPreflightWarnings(report).filter(({ result }) => result !== 'not-run')
    for (const id of ['message-queues', 'control-groups']) expect(open.map((check) => check.id)).not.toContain(id)
    expect([isAttestationSigned(signed, domain), signed.provider]).toEqual([true, signer.address])
    console.warn(`preflight on ${runtime}: ${report.milliseconds} ms`)
    for (const { row, id, result, found } of listPreflightWarnings(report))
      console.warn(`row ${row} (${id}) on ${runtime}: ${result === 'not-run' ? 'not run' : 'open'}: ${found}`)
  })

  test('its report stands for the next start', async () => {
    expect(await preflight(false)).toEqual(signed)
  })

  test.each([
    ['link-file', 'only regular files are accepted'],
    ['link-root', 'only regular files are accepted'],
    ['link-inside', 'only regular files are accepted'],
    ['pipe', 'only regular files are accepted'],
    ['socket', 'only regular files are accepted'],
    ['hard-link', 'the file has more than one name'],
    ['newline', 'the path is not a plain relative path'],
    ['bad-utf8', 'a name is not valid UTF-8'],
    ['backslash', 'the path is not a plain relative path'],
    ['deep', 'folders nest too deep'],
  ])('nothing is kept of a tree with the trick "%s"', async (kind, reason) => {
    const { outcome, outputs, kept, probes } = await attack([`out=${kind}`])
    expect(probes.get(`out:${kind}`)?.result, 'the trick itself worked').toBe('allowed')
    expect([outcome, outputs, kept]).toEqual([expect.objectContaining({ kind: 'refused-output', reason }), [], []])
  })

  test('a folder that nobody may read hides nothing', async () => {
    const { outcome, outputs } = await attack(['out=unreadable'])
    // Root reads it all the same; a provider without rights refuses it.
    if (outcome.kind === 'exited') expect(outputs.map(({ path }) => path)).toEqual(['honest'])
    else expect(outcome.kind).toBe('refused-output')
  })

  test('a sparse terabyte is not made, and the largest file is bounded', async () => {
    const { probes } = await attack(['megabytes=64', 'out=sparse'])
    expect([probes.get('sparse-terabyte'), probes.get('out:sparse')]).toMatchObject([
      { result: 'denied', errno: 27 },
      { result: 'denied', errno: 27 },
    ])
  })

  test('a child that goes on changing outputs is dead before they are looked at', async () => {
    const { outcome, outputs } = await attack(['out=race'])
    expect(['exited', 'refused-output']).toContain(outcome.kind)
    for (const { bytes } of outputs) expect(bytes).toBeLessThanOrEqual('honest'.length)
  })

  test('scratch space counts as memory, and ends there', async () => {
    const limits = { memoryBytes: 32 * MiB, scratchBytes: 512 * MiB, timeoutSeconds: 30 }
    const { outcome, probes } = await attack(['megabytes=256', 'scratch-memory'], limits)
    expect([wasKilled(outcome), probes.get('scratch-memory')]).toEqual([true, undefined])
  })

  test('what a runtime leaves open among the control groups counts as memory, too', async () => {
    const limits = { memoryBytes: 32 * MiB, outputBytes: 512 * MiB, timeoutSeconds: 30 }
    const { outcome, probes } = await attack(['folder=/sys/fs/cgroup', 'megabytes=256', 'scratch-memory'], limits)
    if (probes.get('scratch-memory')?.result !== 'denied') expect(wasKilled(outcome)).toBe(true)
  })

  test('nothing is left after all of it: no container, mount or folder', async () => {
    await executor.close()
    const filters = { label: [`lilypad.node=${nodeId}`] }
    expect(await new Docker({ socketPath }).listContainers({ all: true, filters })).toEqual([])
    expect(await readdir(join(stateDirectory, 'docker'))).toEqual([])
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(stateDirectory)
    expect((await readdir(stateDirectory)).filter((name) => name.startsWith('preflight-'))).toEqual([])
    // The engine with crun has mounts of its own.
    expect(uncopied.filter((reason) => reason !== 'the engine is in another mnt name space')).toEqual([])
  })

  test('the same attacks come through where nothing is closed, so they are attacks', async () => {
    const docker = new Docker({ socketPath })
    const container = await docker.createContainer({
      Image: digest,
      // New namespaces come last: what follows them has lost its rights again.
      Cmd: ['status', 'suid', 'programs', 'root', 'scratch', 'sockets', 'priv'],
      Tty: true,
      HostConfig: {
        NetworkMode: 'none',
        Memory: 256 * MiB,
        PidsLimit: 128,
        SecurityOpt: ['seccomp=unconfined'],
        Tmpfs: { '/tmp': 'exec,size=8m', '/out': 'exec,size=8m' },
      },
    })
    try {
      await container.start()
      await container.wait()
      const text = (await container.logs({ stdout: true, follow: false })).toString('utf8')
      const open = [...parseProbes(text).values()]
        .filter(({ result }) => result === 'allowed')
        .map(({ probe }) => probe)
      expect(open).toEqual(
        expect.arrayContaining([
          ...['capabilities', 'new-privileges', 'unfiltered', 'root-user', 'mknod-block', 'chroot', 'setuid-root'],
          ...['ptrace', 'io-uring', 'socket-raw', 'socket-packet', 'socket-netlink', 'setuid-program', 'chown-root'],
          ...['write:/pwn', 'root-mkdir', 'run:/tmp/copy', 'scratch-files'],
        ]),
      )
    } finally {
      await container.remove({ force: true })
    }
  })
})

test.runIf(process.getuid?.() === 0 && engines.get('runc')?.socketPath !== undefined)(
  'the attack program changed nothing on this machine',
  () => {
    expect(execFileSync('hostname', { encoding: 'utf8' }).trim()).not.toBe('lilypad')
  },
)
