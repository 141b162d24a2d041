/** The runtime that starts containers fastest, where the engine has it. */
export const fastRuntime = 'crun'

/** gVisor runs a job on a kernel of its own. It opens no named pipes of the machine, so there are no slots in it. */
export function isGvisor(runtime: string): boolean {
  return runtime.startsWith('runsc')
}

const gvisorPids = 256

/** Processes and threads a container may have. Those of gVisor's own kernel are counted in, and it cannot start without. */
export function pidsWithin(runtime: string, pids: number): number {
  return isGvisor(runtime) ? pids + gvisorPids : pids
}
