// usage: node build.mjs
// Turns hello.wat into a program, puts its digest into a copy of module.json and prints one line of JSON.
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import wabt from 'wabt'

const folder = dirname(fileURLToPath(import.meta.url))
const manifestPath = join(folder, '.build', 'module.json')
const programPath = join(folder, '.build', 'hello.wasm')

/** Ends with a sentence instead of a stack trace. */
function fail(error) {
  process.stderr.write(`hello-module: ${error.message}\n`)
  process.exit(1)
}

const assembler = await wabt()
const text = await readFile(join(folder, 'hello.wat'), 'utf8')
let program
try {
  program = assembler.parseWat('hello.wat', text).toBinary({}).buffer
} catch (error) {
  fail(error)
}
const manifest = JSON.parse(await readFile(join(folder, 'module.json'), 'utf8'))
manifest.runtime.program.sha256 = `0x${createHash('sha256').update(program).digest('hex')}`
manifest.runtime.program.bytes = program.length

await mkdir(dirname(programPath), { recursive: true })
await writeFile(programPath, program)
await writeFile(manifestPath, `${JSON.stringify(manifest, null, 2)}\n`)
process.stdout.write(`${JSON.stringify({ manifestPath, programPath })}\n`)
