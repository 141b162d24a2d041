import type { PreflightCheck } from '@lilypad-agents/protocol'
import { containerEnvironment } from '../executors/determinism-environment.ts'
import { attackImageEnvironment } from './attack-image.ts'
import { type AttackRunName, attackRuns } from './attack-runs.ts'
import type { Observations, Probe, RunObservation } from './observation.ts'

/** What was found where it should not be, or undefined when the program was kept in. */
type Problem = string | undefined
type Check = {
  readonly id: string
  /** Row of the table in docs/security-of-providers.md. */
  readonly row: number
  /** Without it no job is taken. */
  readonly required: boolean
  readonly expected: string
  /** What the operator can do when it fails. */
  readonly hint: string
  /** Runs that it reads; without them it is not judged. */
  readonly needs: readonly AttackRunName[]
  judge(observed: Observations, run: (name: AttackRunName) => RunObservation): Problem
}

const errors = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  EACCES: 13,
  EXDEV: 18,
  ENODEV: 19,
  EMFILE: 24,
  ENOTTY: 25,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  ENOSYS: 38,
  ENODATA: 61,
  ENETUNREACH: 101,
  ECONNREFUSED: 111,
} as const
type ErrorName = keyof typeof errors

class NotObserved extends Error {}

function find(run: RunObservation, name: string): Probe {
  const probe = run.probes.get(name)
  if (probe === undefined) throw new NotObserved(`no answer to ${name}`)
  return probe
}

/** Names of probes that were not refused in one of the accepted ways. */
function denied(run: RunObservation, names: readonly string[], accepted: readonly ErrorName[]): Problem {
  const numbers: readonly number[] = accepted.map((name) => errors[name])
  const open = names
    .map((name) => find(run, name))
    .filter(({ result, errno }) => result === 'allowed' || !numbers.includes(errno))
    .map(({ probe, result, errno }) => (result === 'allowed' ? `${probe} was allowed` : `${probe} gave error ${errno}`))
  return open.length === 0 ? undefined : open.join(', ')
}

/** Like `denied`, and the probe got no further than a number says. */
function bounded(run: RunObservation, name: string, most: number, accepted: readonly ErrorName[]): Problem {
  const { count = 0 } = find(run, name)
  return denied(run, [name], accepted) ?? (count > most ? `${name} came to ${count}, past ${most}` : undefined)
}

function ended(run: RunObservation, kind: RunObservation['outcome']['kind']): Problem {
  return run.outcome.kind === kind ? undefined : `the run ended as ${run.outcome.kind}`
}

const first = (...problems: readonly Problem[]): Problem => problems.find((problem) => problem !== undefined)
const words = (text: string) => text.trim().split(/\s+/)
const prefixed = (prefix: string, text: string) => words(text).map((word) => `${prefix}:${word}`)

const privileged = words('capabilities mknod-block mknod-character chroot capset ambient raise-file-size raise-core')
const identity = words('root-user root-group setuid-root setgid-root setgroups-root chown-root')
const filtered = words(`
  unfiltered mount mount-bind remount-root umount pivot-root open-tree fsopen unshare-user unshare-mount unshare-network
  clone-user clone3 setns ptrace process-vm-readv io-uring bpf perf-event-open userfaultfd keyctl add-key name-to-handle-at
  open-by-handle-at fanotify init-module finit-module kexec-load reboot swapon acct syslog quotactl clock-settime
  settimeofday sethostname personality realtime priority push-terminal-input
`)
const sockets = words(`
  socket-raw socket-ping socket-packet socket-netlink socket-vsock socket-alg socket-datagram socket-inet6 socket-xdp
  socket-bluetooth socket-tipc
`)
const rootPaths = [
  ...words('root-mkdir root-unlink root-chmod'),
  ...prefixed(
    'write',
    `/pwn /attack /suid /etc/pwn /etc/hosts /etc/hostname /etc/resolv.conf /.dockerenv /dev/pwn /run/pwn /var/pwn
    /home/pwn /proc/pwn /sys/pwn`,
  ),
]
const inputPaths = words('write:/in/data write:/in/pwn input-unlink input-chmod input-link input-rename')
const kernelFiles = [
  'escape-oom-killer',
  ...prefixed(
    'write',
    `/proc/sys/kernel/core_pattern /proc/sys/kernel/panic /proc/sys/kernel/modprobe /proc/sys/vm/drop_caches
    /proc/sys/vm/overcommit_memory /proc/sys/net/ipv4/ip_forward /proc/sys/fs/file-max
    /proc/sys/fs/binfmt_misc/register /proc/sysrq-trigger /sys/kernel/uevent_helper /sys/kernel/mm/ksm/run
    /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/memory/release_agent /sys/fs/cgroup/memory/memory.limit_in_bytes
    /sys/fs/cgroup/memory/cgroup.procs /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/devices/devices.allow
    /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/unified/cgroup.procs`,
  ),
  ...prefixed(
    'read',
    `/proc/kcore /proc/kmsg /proc/keys /proc/timer_list /proc/sched_debug /proc/1/root/etc/shadow /dev/mem /dev/kmsg
    /dev/port /sys/kernel/security/lockdown /sys/kernel/debug/fault_around_bytes /sys/firmware/acpi/tables/DSDT
    /sys/firmware/dmi/tables/DMI /etc/shadow /root/.ssh/id_rsa`,
  ),
]
const devices = prefixed(
  'open',
  `/dev/sda /dev/vda /dev/nvme0n1 /dev/xvda /dev/loop0 /dev/loop-control /dev/mapper/control /dev/kvm /dev/fuse
  /dev/net/tun /dev/vhost-net /dev/vsock /dev/vhost-vsock /dev/uinput /dev/userfaultfd`,
)
const gpus = prefixed(
  'open',
  '/dev/nvidia0 /dev/nvidiactl /dev/nvidia-uvm /dev/nvidia-modeset /dev/dri/card0 /dev/dri/renderD128 /dev/kfd',
)
const engineSockets = prefixed(
  'connect',
  `/var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock /run/crio/crio.sock
  /run/dbus/system_bus_socket /run/systemd/private`,
)
const firstProcess = [
  ...words('first-trace first-take-descriptor'),
  ...prefixed(
    'first',
    `/proc/1/mem /proc/1/environ /proc/1/fd/3 /proc/1/fd/4 /proc/1/fd/5 /proc/1/fd/6 /.lp/init /.lp/record /.lp/stdin
    /.lp/stdout /.lp/pwn`,
  ),
]
const notThere: readonly ErrorName[] = ['ENOENT', 'EACCES', 'EPERM', 'EROFS', 'ENODEV', 'ENXIO']
const grantedVariables = new Set([
  ...['PATH', 'HOSTNAME', 'HOME'],
  ...Object.keys(containerEnvironment),
  ...Object.keys(attackImageEnvironment),
])
// A quota of a fifth of a CPU over half a second is 100 ms; periods of 100 ms round it up at both ends.
const mostProcessorMilliseconds = 300
const mostStopMilliseconds = 6000
// 128 and the number of SIGKILL.
const killedCode = 137
const profileHint = 'report this: the profile of jobs does not hold on this engine, whatever its settings'
const runtimeHint = 'look at the default runtime of the engine and at its version; try runc of the distribution'

/** One row for each thing that a job must not be able to do. The order is that of the table of rows. */
export const checks: readonly Check[] = [
  {
    id: 'capabilities',
    row: 1,
    required: true,
    expected: 'no capability, and nothing that needs one',
    hint: runtimeHint,
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), privileged, ['EPERM', 'EACCES']),
  },
  {
    id: 'user',
    row: 2,
    required: true,
    expected: 'not root, and no way to become it',
    hint: 'run the provider as a user that is not in group 0, or as root, which gives jobs to nobody',
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), identity, ['EPERM', 'EACCES']),
  },
  {
    id: 'no-new-privileges',
    row: 3,
    required: true,
    expected: 'a setuid program of the image runs as who started it',
    hint: runtimeHint,
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), ['new-privileges', 'setuid-program'], ['EPERM']),
  },
  {
    id: 'system-calls',
    row: 4,
    required: true,
    expected: 'refused by the filter',
    hint: 'use a kernel and an engine with seccomp (`docker info` names it) and a runtime that applies profiles',
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), filtered, ['EPERM', 'EACCES', 'ENOSYS', 'ENOTTY']),
  },
  {
    id: 'sockets',
    row: 4,
    required: true,
    expected: 'no socket but streams and those of Unix',
    hint: 'use a kernel and an engine with seccomp (`docker info` names it) and a runtime that applies profiles',
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), sockets, ['EPERM', 'EACCES']),
  },
  {
    id: 'root-file-system',
    row: 5,
    required: true,
    expected: 'no place to write but /tmp and /out',
    hint: profileHint,
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), rootPaths, notThere),
  },
  {
    id: 'inputs',
    row: 5,
    required: true,
    expected: 'inputs can be read and not changed',
    hint: profileHint,
    needs: ['probes'],
    judge: ({ isInputIntact }, run) =>
      denied(run('probes'), inputPaths, ['EROFS', 'EACCES', 'EPERM', 'EXDEV']) ??
      (isInputIntact ? undefined : 'the input file was changed'),
  },
  {
    id: 'scratch',
    row: 6,
    required: true,
    expected: '/tmp ends at its limit of bytes and of files, and starts no program',
    hint: profileHint,
    needs: ['probes'],
    judge: (_, run) =>
      first(
        bounded(run('probes'), 'scratch-bytes', attackRuns.probes.limits.scratchBytes + 65_536, ['ENOSPC', 'EFBIG']),
        bounded(run('probes'), 'scratch-files', 4096, ['ENOSPC']),
        denied(run('probes'), ['run:/tmp/copy'], ['EACCES', 'EPERM']),
      ),
  },
  {
    id: 'memory',
    row: 7,
    required: true,
    expected: 'killed at the limit of memory',
    hint: 'turn on the memory controller of control groups, and swap accounting',
    needs: ['memory'],
    judge: (_, run) => {
      // Engines tell why a program was killed a moment late or not at all; that it was killed is what counts here.
      const { outcome, probes } = run('memory')
      const wasKilled = outcome.kind === 'exited' && outcome.code === killedCode
      if (probes.has('memory')) return 'all memory asked for was there'
      return wasKilled ? undefined : ended(run('memory'), 'out-of-memory')
    },
  },
  {
    id: 'processes',
    row: 8,
    required: true,
    expected: 'no more processes than the limit',
    hint: 'turn on the pids controller of control groups',
    needs: ['probes'],
    judge: (_, run) => bounded(run('probes'), 'fork', attackRuns.probes.limits.pids, ['EAGAIN']),
  },
  {
    id: 'processor',
    row: 9,
    required: true,
    expected: 'no more processor time than the limit',
    hint: 'turn on the cpu controller of control groups with its quota',
    needs: ['hang'],
    judge: (_, run) => {
      const { count = 0 } = find(run('hang'), 'processor')
      return count > mostProcessorMilliseconds ? `used ${count} ms in 500 ms at a limit of a fifth` : undefined
    },
  },
  {
    id: 'network',
    row: 10,
    required: true,
    expected: 'no interface but an own loopback, no way to this machine or another',
    hint: 'the engine must honour `NetworkDisabled`; look for plugins or a runtime that adds networks',
    needs: ['probes'],
    judge: ({ connections }, run) => {
      const probes = run('probes')
      const hosts = [...probes.probes.keys()].filter((name) => name.startsWith('connect-host:'))
      return first(
        denied(probes, ['interfaces'], ['ENODEV']),
        denied(probes, ['connect-metadata', 'connect-gateway', 'connect-internet', ...hosts], ['ENETUNREACH']),
        denied(probes, ['connect-loopback', 'connect-abstract'], ['ECONNREFUSED', 'ENETUNREACH', 'EPERM']),
        connections > 0 ? 'a program reached this machine' : undefined,
      )
    },
  },
  {
    id: 'outputs',
    row: 13,
    required: true,
    expected: 'too much output keeps none',
    hint: profileHint,
    needs: ['outputs'],
    judge: (_, run) =>
      ended(run('outputs'), 'output-limit') ??
      (run('outputs').outputs.length > 0 ? 'outputs were kept beyond the limit' : undefined),
  },
  {
    id: 'output-file-system',
    row: 13,
    required: false,
    expected: '/out ends at its limit of bytes and of files, and starts no program',
    hint: 'run the provider as root: it then mounts a file system for each job instead of watching a folder',
    needs: ['outputs', 'probes'],
    judge: (_, run) =>
      first(
        bounded(run('outputs'), 'output-bytes', 2 * attackRuns.outputs.limits.outputBytes, ['ENOSPC']),
        bounded(run('outputs'), 'output-files', 100, ['ENOSPC']),
        denied(run('probes'), ['run:/out/copy'], ['EACCES', 'EPERM']),
      ),
  },
  {
    id: 'output-collection',
    row: 14,
    required: true,
    expected: 'links, pipes and sockets are refused, and nothing is kept',
    hint: profileHint,
    needs: ['tricks'],
    judge: (_, run) =>
      ended(run('tricks'), 'refused-output') ??
      (run('tricks').outputs.length > 0 ? 'outputs of a refused tree were kept' : undefined),
  },
  {
    id: 'output-modes',
    row: 14,
    required: true,
    expected: 'a kept output is a plain file that runs as nobody and starts nothing',
    hint: profileHint,
    needs: ['modes'],
    judge: (_, run) => {
      const { outcome, outputs } = run('modes')
      if (outcome.kind !== 'exited' || outputs.length !== 2) return `the run ended as ${outcome.kind}`
      return outputs.some(({ mode }) => (mode & 0o7133) !== 0) ? 'an output kept its permissions' : undefined
    },
  },
  {
    id: 'logs',
    row: 16,
    required: true,
    expected: 'a flood of log ends the run and keeps no more than the limit',
    hint: profileHint,
    needs: ['log'],
    judge: (_, run) =>
      ended(run('log'), 'log-limit') ??
      (run('log').logBytes > attackRuns.log.limits.logBytes ? 'more log was kept than the limit' : undefined),
  },
  {
    id: 'timeout',
    row: 17,
    required: true,
    expected: 'a program that ignores every signal it may is gone at its deadline, with its children',
    hint: 'the engine takes too long to kill; give the machine less to do or restart the engine',
    needs: ['hang'],
    judge: (_, run) => {
      const { milliseconds } = run('hang')
      const most = attackRuns.hang.limits.timeoutSeconds * 1000 + mostStopMilliseconds
      return ended(run('hang'), 'timed-out') ?? (milliseconds > most ? `stopped after ${milliseconds} ms` : undefined)
    },
  },
  {
    id: 'shared-memory',
    row: 18,
    required: true,
    expected: 'no memory shared with others',
    hint: profileHint,
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), ['write:/dev/shm/pwn'], notThere),
  },
  {
    id: 'message-queues',
    row: 18,
    required: false,
    expected: 'no message queues, which are counted for all jobs together',
    hint: profileHint,
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), ['write:/dev/mqueue/pwn'], [...notThere, 'EMFILE']),
  },
  {
    id: 'environment',
    row: 19,
    required: true,
    expected: 'no variable but those of the profile and the image',
    hint: 'look for variables that the engine adds to every container (`proxies` in config.json of the daemon)',
    needs: ['probes'],
    judge: (_, run) => {
      const names = [...run('probes').probes.keys()]
        .filter((name) => name.startsWith('environment:'))
        .map((name) => name.slice('environment:'.length))
      if (names.length === 0) throw new NotObserved('no environment was listed')
      const foreign = names.filter((name) => !grantedVariables.has(name))
      return foreign.length > 0 ? `also has ${foreign.join(', ')}` : undefined
    },
  },
  {
    id: 'kernel',
    row: 19,
    required: true,
    expected: 'settings of the kernel are not written, its memory and log not read',
    hint: 'the runtime must mask /proc and /sys; look at its version',
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), kernelFiles, [...notThere, 'ENODATA']),
  },
  {
    id: 'control-groups',
    row: 19,
    required: false,
    expected: 'no place to write among the control groups',
    hint: 'use a runtime that keeps /sys/fs/cgroup read-only when it is told to: runc or crun',
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), ['write:/sys/fs/cgroup/pwn'], notThere),
  },
  {
    id: 'devices',
    row: 19,
    required: true,
    expected: 'no device of this machine',
    hint: 'turn on the devices controller of control groups; look for a runtime hook that adds devices',
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), devices, notThere),
  },
  {
    id: 'neighbours',
    row: 19,
    required: true,
    expected: 'no process but its own, no open file of another',
    hint: 'update the runtime: open files that leak into containers were CVE-2024-21626',
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), ['other-processes', 'inherited-descriptor'], ['ESRCH', 'EBADF']),
  },
  {
    id: 'first-process',
    row: 19,
    required: true,
    expected: 'the first process of the container, which reports how the run ended, is out of reach',
    hint: profileHint,
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), firstProcess, [...notThere, 'ESRCH']),
  },
  {
    id: 'image-identity',
    row: 20,
    required: true,
    expected: 'an image that is not here by its digest is refused',
    hint: profileHint,
    needs: [],
    judge: ({ isUnknownImageRefused }) => (isUnknownImageRefused ? undefined : 'an unknown image was taken'),
  },
  {
    id: 'user-namespaces',
    row: 21,
    required: false,
    expected: 'root of a container is nobody on the machine',
    hint: 'set `userns-remap` in /etc/docker/daemon.json',
    needs: [],
    judge: ({ securityOptions }) =>
      securityOptions.some((option) => option === 'name=userns' || option === 'name=rootless')
        ? undefined
        : 'the engine does not map users',
  },
  {
    id: 'rootless-limits',
    row: 22,
    required: true,
    expected: 'limits hold: a rootless engine has version 2 of control groups',
    hint: 'boot with version 2 of control groups or run the engine as root',
    needs: [],
    judge: ({ securityOptions, facts: { cgroup } }) =>
      securityOptions.includes('name=rootless') && cgroup !== '2' ? 'the engine ignores limits' : undefined,
  },
  {
    id: 'engine-access',
    row: 24,
    required: true,
    expected: 'no socket of an engine or of the system',
    hint: profileHint,
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), engineSockets, [...notThere, 'ECONNREFUSED']),
  },
  {
    id: 'gpus',
    row: 25,
    required: true,
    expected: 'no GPU for an image that asks for all of them by itself',
    hint: 'do not make `nvidia` the default runtime; let it ignore images (`accept-nvidia-visible-devices-envvar-when-unprivileged = false`)',
    needs: ['probes'],
    judge: (_, run) => denied(run('probes'), gpus, notThere),
  },
  {
    id: 'runtime-version',
    row: 26,
    required: false,
    expected: 'runc has the fixes of November 2025 (1.2.8, 1.3.3, 1.4)',
    hint: 'update runc; distributions patch older versions, so look up CVE-2025-31133, -52565 and -52881 in their tracker',
    needs: [],
    judge: ({ facts }) => findRuntimeProblem(facts),
  },
]

/** Rows of the table that no check covers, and why. */
export const rowsNotRun: readonly { readonly row: number; readonly reason: string }[] = [
  { row: 11, reason: 'no job has a network, so there is no list of allowed addresses to get around' },
  { row: 12, reason: 'no job has a network, so there is no bridge between jobs' },
  { row: 15, reason: 'nothing here opens archives: inputs and outputs are single files' },
  { row: 23, reason: 'gVisor is the choice of the operator; its jobs pass the same checks' },
]

function findRuntimeProblem(facts: Observations['facts']): Problem {
  const { runtime = '', runtimeVersion = '' } = facts
  if (!/^(runc|io\.containerd\.runc)/.test(runtime)) return undefined
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(runtimeVersion)
  if (match === null) throw new NotObserved('the version of runc is not known')
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map(Number)
  const isFixed = major > 1 || minor >= 4 || (minor === 3 && patch >= 3) || (minor === 2 && patch >= 8)
  return isFixed ? undefined : `runc is ${match[0]}`
}

/** Judges what a preflight saw. A check whose run is missing, or whose probe gave no answer, did not run; a required one then counts as failed. */
export function evaluateChecks(observed: Observations): readonly PreflightCheck[] {
  return checks.map(({ id, row, required, expected, needs, judge }) => {
    const base = { id, row, required, expected }
    const missing = needs.filter((name) => observed.runs[name] === undefined)
    if (missing.length > 0) return { ...base, result: 'not-run', found: `no run of ${missing.join(', ')}` }
    try {
      const problem = judge(observed, (name) => getRun(observed, name))
      return problem === undefined
        ? { ...base, result: 'contained', found: '' }
        : { ...base, result: 'failed', found: problem.slice(0, 300) }
    } catch (error) {
      if (error instanceof NotObserved) return { ...base, result: 'not-run', found: error.message }
      throw error
    }
  })
}

function getRun(observed: Observations, name: AttackRunName): RunObservation {
  const run = observed.runs[name]
  if (run === undefined) throw new NotObserved(`no run of ${name}`)
  return run
}
