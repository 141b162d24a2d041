import type { ContainerCreateOptions } from 'dockerode'
import { containerEnvironment, environmentLines } from '../determinism-environment.ts'
import type { ExecutorTask } from '../executor.ts'
import type { JobUser } from './output-volume.ts'
import type { SeccompProfile } from './seccomp-profile.ts'

// The engine takes no container with less.
const minMemoryBytes = 6 * 1024 ** 2
const pageBytes = 4096
const scratchInodes = 4096

export type ContainerFacts = {
  readonly name: string
  readonly imageId: string
  readonly inputFolder: string
  readonly outputFolder: string
  readonly labels: Readonly<Record<string, string>>
  readonly seccomp: SeccompProfile
  readonly cpus: number
  readonly user: JobUser
}

/** The hardened profile of every container job, in one place. Nothing in it comes from the module but numbers, arguments and environment. */
export function containerOptions(task: ExecutorTask, facts: ContainerFacts): ContainerCreateOptions {
  const { limits } = task
  const memory = Math.max(limits.memoryBytes, minMemoryBytes)
  const { uid, gid } = facts.user
  const owner = `uid=${uid},gid=${gid},mode=0700`
  // tmpfs reads a size of 0 as "no limit".
  const scratch = Math.max(limits.scratchBytes, pageBytes)
  const fileSize = limits.outputBytes + limits.scratchBytes + pageBytes
  const hasStdin = task.stdin !== undefined
  return {
    name: facts.name,
    Image: facts.imageId,
    ...(task.args.length > 0 ? { Cmd: [...task.args] } : {}),
    Env: [...environmentLines(containerEnvironment, task.env)],
    User: `${uid}:${gid}`,
    Labels: { ...facts.labels },
    Tty: false,
    OpenStdin: hasStdin,
    StdinOnce: hasStdin,
    AttachStdin: hasStdin,
    AttachStdout: true,
    AttachStderr: true,
    Healthcheck: { Test: ['NONE'] },
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': `size=${scratch},nr_inodes=${scratchInodes},noexec,nosuid,nodev,${owner}` },
      Mounts: [
        {
          Type: 'bind',
          Source: facts.inputFolder,
          Target: '/in',
          ReadOnly: true,
          BindOptions: { Propagation: 'rprivate' },
        },
        {
          Type: 'bind',
          Source: facts.outputFolder,
          Target: '/out',
          ReadOnly: false,
          BindOptions: { Propagation: 'rprivate' },
        },
      ],
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges', `seccomp=${JSON.stringify(facts.seccomp)}`],
      Privileged: false,
      Memory: memory,
      MemorySwap: memory,
      NanoCpus: Math.min(limits.cpuMillis / 1000, facts.cpus) * 1e9,
      PidsLimit: limits.pids,
      IpcMode: 'none',
      LogConfig: { Type: 'none', Config: {} },
      Ulimits: [
        { Name: 'core', Soft: 0, Hard: 0 },
        { Name: 'nofile', Soft: 1024, Hard: 1024 },
        { Name: 'fsize', Soft: fileSize, Hard: fileSize },
      ],
      RestartPolicy: { Name: 'no' },
      AutoRemove: false,
    },
  }
}
