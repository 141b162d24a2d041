import { GpuUnavailableError } from './gpu-unavailable-error.ts'

// A program of the driver's runs with these on the host's side before the container is closed: what they load and which
// devices they open must never be the image's or the job's choice (CVE-2025-23266).
const denied = {
  'gpu-job': /^(LD_|NVIDIA_|CUDA_)/i,
  // An engine whose default runtime is NVIDIA's reads these of every container. Other paths to libraries are the job's own.
  'any-job': /^(LD_PRELOAD$|LD_AUDIT$|NVIDIA_|CUDA_)/i,
} as const
type Denying = keyof typeof denied

const nameOf = (line: string) => line.split('=', 1)[0] ?? ''

/**
 * Why a GPU job may not run with its own environment, or undefined.
 * An image's own variables are no reason: nearly every CUDA image has some, and {@link withoutDenied} takes them away.
 */
export function findEnvironmentProblem(environment: Readonly<Record<string, string>>): string | undefined {
  const found = Object.keys(environment).filter((name) => denied['gpu-job'].test(name))
  return found.length === 0 ? undefined : `the module sets ${found.sort().join(', ').slice(0, 200)}`
}

/** Lines that take an image's denied variables away: to the engine, a name without `=` is a variable that is not there. */
export function withoutDenied(imageLines: readonly string[], denying: Denying): readonly string[] {
  return [...new Set(imageLines.map(nameOf).filter((name) => denied[denying].test(name)))].sort()
}

/**
 * Environment of a GPU job: ours and the job's, what the image must not decide taken away, what the request needs added.
 * @throws {@link GpuUnavailableError} when the job's own lines hold a denied variable
 */
export function gpuEnvironmentLines(options: {
  /** Lines of the container without a GPU. */
  readonly own: readonly string[]
  /** `Config.Env` of the image. */
  readonly image: readonly string[]
  /** Lines of the request for GPUs. */
  readonly request: readonly string[]
}): readonly string[] {
  const { image, request } = options
  // Those that are taken away from any job are among those taken away here.
  const own = options.own.filter((line) => line.includes('='))
  const problem = findEnvironmentProblem(Object.fromEntries(own.map((line) => [nameOf(line), ''])))
  if (problem !== undefined) throw new GpuUnavailableError(problem)
  const set = new Set(request.map(nameOf))
  return [...own, ...withoutDenied(image, 'gpu-job').filter((name) => !set.has(name)), ...request]
}
