import type { ModuleLimits } from '@lilypad-agents/protocol'
import type { ContainerCreateOptions } from 'dockerode'
import { withoutDenied } from '../../gpu/gpu-environment.ts'
import { containerEnvironment, environmentLines } from '../determinism-environment.ts'
import type { ExecutorTask } from '../executor.ts'
import { pidsWithin } from './container-runtime.ts'
import type { Engine } from './engine.ts'
import type { Image } from './image.ts'
import type { JobPlace } from './job-place.ts'
import type { JobUser } from './output-volume.ts'

// The engine takes no container with less.
const minMemoryBytes = 6 * 1024 ** 2
const pageBytes = 4096
const scratchInodes = 4096

/** The engine's own lists, which ours take the place of, and what they leave open. Runtimes pass over what is not there. */
const maskedPaths = [
  ...['/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats'],
  ...['/proc/sched_debug', '/proc/scsi', '/proc/timer_list', '/proc/timer_stats'],
  ...['/sys/devices/virtual/powercap', '/sys/firmware'],
  '/dev/mqueue',
]
const thermalPaths = (cpus: number) =>
  Array.from({ length: cpus }, (_, cpu) => `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`)
const readonlyPaths = [
  ...['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  // Programs read their limits here; crun leaves the folder above the controllers open.
  '/sys/fs/cgroup',
]

/** What the container runs: a job from its start, the first process of a slot, which is told later, or a model server. */
export type ContainerProgram =
  | { readonly kind: 'job'; readonly task: Pick<ExecutorTask, 'args' | 'env' | 'stdin'> }
  | { readonly kind: 'slot'; readonly folder: string }
  | { readonly kind: 'server'; readonly task: Pick<ExecutorTask, 'args' | 'env'> }

export type ContainerFacts = {
  readonly image: Pick<Image, 'id' | 'environment'>
  readonly place: JobPlace
  readonly labels: Readonly<Record<string, string>>
  readonly engine: Engine
  readonly runtime: string
  readonly user: JobUser
}

/** Where a slot finds its first process and the pipes to the provider. */
export const slotFolderInside = '/.lp'

/** Where a server makes its socket: a small file system of its own, and the only way in. */
export const serverFolderInside = '/run/lilypad'

/** The hardened profile of every container, in one place. Nothing in it comes from the module but numbers, arguments and environment. */
export function containerOptions(
  limits: ModuleLimits,
  program: ContainerProgram,
  facts: ContainerFacts,
): ContainerCreateOptions {
  const { place, engine } = facts
  const memory = Math.max(limits.memoryBytes, minMemoryBytes)
  const { uid, gid } = facts.user
  const owner = `uid=${uid},gid=${gid},mode=0700`
  // tmpfs reads a size of 0 as "no limit".
  const scratch = Math.max(limits.scratchBytes, pageBytes)
  const fileSize = limits.outputBytes + limits.scratchBytes + pageBytes
  const isSlot = program.kind === 'slot'
  const isServer = program.kind === 'server'
  const { args, env } = isSlot ? { args: [], env: {} } : program.task
  const hasStdin = program.kind === 'job' && program.task.stdin !== undefined
  return {
    name: place.name,
    Image: facts.image.id,
    ...(isSlot ? { Entrypoint: [`${slotFolderInside}/init`], Cmd: [] } : {}),
    ...(args.length > 0 ? { Cmd: [...args] } : {}),
    Env: [...environmentLines(containerEnvironment, env), ...withoutDenied(facts.image.environment, 'any-job')],
    User: `${uid}:${gid}`,
    Labels: { ...facts.labels },
    Tty: false,
    OpenStdin: hasStdin,
    StdinOnce: hasStdin,
    AttachStdin: hasStdin,
    AttachStdout: !isSlot,
    AttachStderr: !isSlot,
    Healthcheck: { Test: ['NONE'] },
    NetworkDisabled: true,
    HostConfig: {
      Runtime: facts.runtime,
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': `size=${scratch},nr_inodes=${scratchInodes},noexec,nosuid,nodev,${owner}` },
      Mounts: isServer
        ? [bind(place.volume.directory, serverFolderInside, false)]
        : [
            bind(place.inputFolder, '/in', true),
            bind(place.volume.directory, '/out', false),
            ...(isSlot ? [bind(program.folder, slotFolderInside, true)] : []),
          ],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges', `seccomp=${JSON.stringify(engine.seccomp)}`],
      Privileged: false,
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: Math.min(limits.cpuMillis / 1000, engine.cpus) * 1e9,
      // The first process of a slot must not cost the job one of its own.
      PidsLimit: pidsWithin(facts.runtime, limits.pids) + (isSlot ? 1 : 0),
      IpcMode: 'none',
      MaskedPaths: [...maskedPaths, ...thermalPaths(engine.cpus)],
      ReadonlyPaths: [...readonlyPaths],
      LogConfig: { Type: 'none', Config: {} },
      Ulimits: [
        { Name: 'core', Soft: 0, Hard: 0 },
        // Bytes of message queues are counted for the user, who is the same in all jobs.
        { Name: 'msgqueue', Soft: 0, Hard: 0 },
        { Name: 'nofile', Soft: 1024, Hard: 1024 },
        { Name: 'fsize', Soft: fileSize, Hard: fileSize },
      ],
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
    },
  }
}

const bind = (source: string, target: string, isReadOnly: boolean) => ({
  Type: 'bind' as const,
  Source: source,
  Target: target,
  ReadOnly: isReadOnly,
  BindOptions: { Propagation: 'rprivate' as const },
})
