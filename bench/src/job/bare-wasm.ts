import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { timeProcess } from './time-process.ts'

export const bareWasmName = 'a bare process: node runs the same program with node:wasi, no sandbox, folders on disk'

const host = `import { readFileSync } from 'node:fs'
import { WASI } from 'node:wasi'
const [program, input, output] = process.argv.slice(2)
const wasi = new WASI({ version: 'preview1', args: ['bench'], preopens: { '/in': input, '/out': output } })
const { instance } = await WebAssembly.instantiate(readFileSync(program), wasi.getImportObject())
wasi.start(instance)
`

/** Makes a stopwatch for a WASI program as a process of its own. */
export async function openBareWasm(folder: string, programPath: string): Promise<() => Promise<number>> {
  const paths = { host: join(folder, 'host.mjs'), input: join(folder, 'in'), output: join(folder, 'out') }
  await mkdir(paths.input, { recursive: true })
  await mkdir(paths.output, { recursive: true })
  await writeFile(paths.host, host)
  return () =>
    timeProcess(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      paths.host,
      programPath,
      paths.input,
      paths.output,
    ])
}
