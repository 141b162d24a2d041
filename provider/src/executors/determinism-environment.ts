/**
 * Environment of every container job. GLIBC_TUNABLES turns off the CPU dispatch that makes libm answer differently on
 * different processors; the others pin time zone, locale, timestamps and the number of threads.
 */
export const containerEnvironment: Readonly<Record<string, string>> = {
  GLIBC_TUNABLES: 'glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4,-AVX512F',
  SOURCE_DATE_EPOCH: '1',
  TZ: 'UTC',
  LC_ALL: 'C.UTF-8',
  OMP_NUM_THREADS: '1',
  OMP_THREAD_LIMIT: '1',
}

/** Environment of every WASM job. */
export const wasmEnvironment: Readonly<Record<string, string>> = {
  SOURCE_DATE_EPOCH: '1',
  TZ: 'UTC',
  LC_ALL: 'C.UTF-8',
}

/** `NAME=value` lines of a fixed environment and the module's own, which wins, sorted by name. */
export function environmentLines(
  fixed: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
): readonly string[] {
  return Object.entries({ ...fixed, ...own })
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
}
