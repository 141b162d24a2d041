import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import wabt from 'wabt'

/** What every tiny program writes to `/out/result.txt`. */
const resultText = 'done\n'

const manifest = (name: string, runtime: unknown) => ({
  schema: 'lilypad/module@1',
  name,
  version: '1.0.0',
  kind: 'module',
  title: 'Benchmark',
  summary: 'Writes one line into one file.',
  description: 'Does next to nothing, so that all the time a job takes is ours.',
  runtime,
  inputs: { type: 'object', properties: {}, required: [], additionalProperties: false },
  outputs: { files: [{ path: 'result.txt', mediaType: 'text/plain', title: 'Result' }], result: null },
  limits: {
    timeoutSeconds: 30,
    memoryBytes: 67_108_864,
    cpuMillis: 1000,
    outputBytes: 65_536,
    outputFiles: 1,
    logBytes: 4096,
    scratchBytes: 65_536,
    pids: 16,
  },
  units: { input: 'none', output: 'none', inputFrom: { kind: 'none' } },
  price: { pricePerJob: '1000000000000', pricePerSecond: '0', pricePerInputUnit: '0', pricePerOutputUnit: '0' },
  determinism: 'exact',
  comparator: { name: 'exact' },
  licence: { code: 'Apache-2.0', weights: 'none' },
  author: { feeBips: 500 },
  examples: [],
})

async function writeModule(folder: string, name: string, runtime: unknown): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'module.json'), JSON.stringify(manifest(name, runtime)))
}

// The third preopened folder of a program: 0 to 2 are the streams, 3 is /in, 4 is /out.
const programText = (outDescriptor: number) => `(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 32) "result.txt") (data (i32.const 64) "done\\0a")
  (func (export "_start")
    (if (call $open (i32.const ${outDescriptor}) (i32.const 0) (i32.const 32) (i32.const 10) (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16))
      (then unreachable))
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const ${resultText.length}))
    (if (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8)) (then unreachable))))`

/** Writes a module folder with a WASI program that writes one line. @returns the path of the program */
export async function writeWasmModule(folder: string, name: string): Promise<string> {
  const assembler = await wabt()
  const parsed = assembler.parseWat(`${name}.wat`, programText(4))
  const { buffer } = parsed.toBinary({})
  parsed.destroy()
  const program = {
    sha256: `0x${createHash('sha256').update(buffer).digest('hex')}`,
    bytes: buffer.length,
    mediaType: 'application/wasm',
  }
  await writeModule(folder, name, { kind: 'wasm', program, args: [name], stdin: 'none', env: {} })
  const programPath = join(folder, 'program.wasm')
  await writeFile(programPath, buffer)
  return programPath
}

/** What a container does here. */
export const containerArguments: readonly string[] = [
  '/bin/busybox',
  'sh',
  '-c',
  `echo ${resultText.trim()} > /out/result.txt`,
]

/** Writes a module folder around an image that is on this machine. */
export async function writeContainerModule(
  folder: string,
  name: string,
  image: { readonly digest: string; readonly reference: string },
): Promise<void> {
  await writeModule(folder, name, { kind: 'container', image, args: containerArguments, stdin: 'none', env: {} })
}
