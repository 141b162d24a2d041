import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeModuleManifest, ModuleManifest, sha256 } from '@lilypad-agents/protocol'
import wabt from 'wabt'

const imports = `
(import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
(memory (export "memory") 3)`

// Addresses: 0 and 4 sizes, then an iovec; 8 count written; 12 opened descriptor; 16 file name; 1024 argv; 4096 strings.
const echo = `
(drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
(drop (call $args_get (i32.const 1024) (i32.const 4096)))
(local.set $from (i32.load (i32.const 1028)))
(local.set $length (i32.sub (i32.sub (i32.add (i32.const 4096) (i32.load (i32.const 4))) (local.get $from)) (i32.const 1)))
(drop (call $path_open (i32.const 4) (i32.const 0) (i32.const 16) (i32.const 8) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 12)))
(i32.store (i32.const 0) (local.get $from))
(i32.store (i32.const 4) (local.get $length))
(drop (call $fd_write (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8)))`

const create = `(drop (call $path_open (i32.const 4) (i32.const 0) (i32.const 16) (i32.const 8) (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 12)))`
const iovec = `(i32.store (i32.const 0) (i32.const 4096)) (i32.store (i32.const 4) (i32.const 65536))`

/** A xorshift generator turned this often takes about two seconds of one core. */
const slowTurns = 900_000_000
const spin = `
(local.set $state (i64.const 88172645463325252))
(loop $turn
  (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 13))))
  (local.set $state (i64.xor (local.get $state) (i64.shr_u (local.get $state) (i64.const 7))))
  (local.set $state (i64.xor (local.get $state) (i64.shl (local.get $state) (i64.const 17))))
  (br_if $turn (i32.ne (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))) (i32.const 0))))
(if (i64.eqz (local.get $state)) (then (call $proc_exit (i32.const 9))))`

const program = (body: string) => `(module ${imports} (data (i32.const 16) "echo.txt") (func (export "_start")
  (local $from i32) (local $length i32) (local $turns i32) (local $state i64)
  ${body}))`

/** What the lanes run, in the text format: two that work, and one for each fault a program can have. */
const sources = {
  echo: program(echo),
  slow: program(`(local.set $turns (i32.const ${slowTurns})) ${spin} ${echo}`),
  hang: program('(loop $forever (br $forever))'),
  flood: program(
    `${iovec} (loop $forever (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br $forever))`,
  ),
  disk: program(
    `${create} ${iovec} (block $full (loop $more (br_if $full (call $fd_write (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 8))) (br $more)))`,
  ),
  exit: program('(call $proc_exit (i32.const 7))'),
  trap: program('unreachable'),
  nothing: program(''),
} as const
export type ProgramName = keyof typeof sources

/** Most a lane's job costs, in base units: the price of one. */
export const jobPrice = 1_000_000_000_000_000n

const limits = {
  timeoutSeconds: 60,
  memoryBytes: 128 * 1024 ** 2,
  cpuMillis: 1000,
  outputBytes: 65_536,
  outputFiles: 4,
  logBytes: 16_384,
  scratchBytes: 1024 ** 2,
  pids: 16,
}

/** A manifest of the lanes around a runtime: one text in, `echo.txt` out. */
export function laneManifest(options: {
  readonly name: string
  readonly runtime: ModuleManifest['runtime']
  readonly limits?: Partial<ModuleManifest['limits']>
  /** Base units of one job. @default jobPrice */
  readonly price?: string
}): ModuleManifest {
  return ModuleManifest.parse({
    schema: 'lilypad/module@1',
    name: options.name,
    version: '1.0.0',
    kind: 'module',
    title: `Lane ${options.name}`,
    summary: 'A program of the crash and fault lanes.',
    description: 'It has no use but to be broken off.',
    runtime: options.runtime,
    inputs: {
      type: 'object',
      properties: { text: { type: 'string', minLength: 1, maxLength: 200 } },
      required: ['text'],
      additionalProperties: false,
    },
    outputs: { files: [{ path: 'echo.txt', mediaType: 'text/plain', title: 'Echo' }], result: null },
    limits: { ...limits, ...options.limits },
    units: { input: 'none', output: 'none', inputFrom: { kind: 'none' } },
    price: {
      pricePerJob: options.price ?? jobPrice.toString(),
      pricePerSecond: '0',
      pricePerInputUnit: '0',
      pricePerOutputUnit: '0',
    },
    determinism: 'exact',
    comparator: { name: 'exact' },
    licence: { code: 'Apache-2.0', weights: 'none' },
    author: { feeBips: 500 },
    examples: [],
  })
}

/** Assembles programs and writes a module folder for each, ready to be published. */
export async function writeModuleFolders(
  folder: string,
  names: readonly ProgramName[],
  options: {
    readonly limitsOf?: (name: ProgramName) => Partial<ModuleManifest['limits']>
    readonly price?: string
  } = {},
): Promise<string[]> {
  const { limitsOf = () => ({}), price } = options
  const assembler = await wabt()
  return names.map((name) => {
    const parsed = assembler.parseWat(`${name}.wat`, sources[name])
    const { buffer } = parsed.toBinary({})
    parsed.destroy()
    const path = join(folder, `lane-${name}`)
    mkdirSync(path, { recursive: true })
    const manifest = laneManifest({
      name: `lane-${name}`,
      runtime: {
        kind: 'wasm',
        program: { sha256: sha256(buffer), bytes: buffer.length, mediaType: 'application/wasm' },
        args: [name, '{text}'],
        stdin: 'none',
        env: {},
      },
      limits: limitsOf(name),
      ...(price === undefined ? {} : { price }),
    })
    writeFileSync(join(path, 'module.json'), encodeModuleManifest(manifest))
    writeFileSync(join(path, 'program.wasm'), buffer)
    return path
  })
}
