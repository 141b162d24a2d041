import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ModuleManifest, sha256 } from '@lilypad-agents/protocol'
import type { z } from 'zod'
import { buildWasmPrograms, type WasmProgramName } from '../../../provider/fixtures/wasm-programs.ts'

/** Writes module folders around a test program: `copy` copies its input file to its output, `fail` exits with code 7. */
export async function writeTinyModules(folder: string): Promise<{ readonly copy: string; readonly fail: string }> {
  mkdirSync(folder, { recursive: true })
  const programs = await buildWasmPrograms(folder)
  const write = (name: string, program: WasmProgramName): string => {
    const directory = join(folder, name)
    mkdirSync(directory)
    const { programPath } = programs[program]
    const bytes = readFileSync(programPath)
    const manifest: z.input<typeof ModuleManifest> = {
      schema: 'lilypad/module@1',
      name,
      version: '1.0.0',
      kind: 'module',
      title: name,
      summary: 'For tests',
      description: 'For tests.',
      runtime: {
        kind: 'wasm',
        program: { sha256: sha256(bytes), bytes: bytes.length, mediaType: 'application/wasm' },
        args: [name],
        stdin: 'none',
        env: {},
      },
      inputs: {
        type: 'object',
        properties: {
          data: { type: 'object', format: 'lilypad-file', mediaTypes: ['text/plain'], maxBytes: 1_000_000 },
          note: { type: 'string', maxLength: 20, default: 'none' },
        },
        required: ['data'],
        additionalProperties: false,
      },
      outputs: { files: [{ path: 'copy.txt', mediaType: 'text/plain', title: 'The same bytes' }], result: null },
      limits: {
        timeoutSeconds: 20,
        memoryBytes: 67_108_864,
        cpuMillis: 1000,
        outputBytes: 1_000_000,
        outputFiles: 4,
        logBytes: 10_000,
        scratchBytes: 0,
        pids: 16,
      },
      units: { input: 'byte', output: 'none', inputFrom: { kind: 'file-bytes', property: 'data' } },
      price: {
        pricePerJob: '1000000000000000',
        pricePerSecond: '0',
        pricePerInputUnit: '1000',
        pricePerOutputUnit: '0',
      },
      determinism: 'exact',
      comparator: { name: 'exact' },
      licence: { code: 'Apache-2.0', weights: 'none' },
      author: { feeBips: 500 },
    }
    writeFileSync(join(directory, 'module.json'), JSON.stringify(ModuleManifest.parse(manifest) && manifest))
    copyFileSync(programPath, join(directory, 'program.wasm'))
    return directory
  }
  return { copy: write('copy', 'copyInput'), fail: write('fail', 'exitSeven') }
}
