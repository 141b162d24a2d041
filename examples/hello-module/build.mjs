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

const assembler = await wabt()
const program = assembler.parseWat('hello.wat', await readFile(join(folder, 'hello.wat'), 'utf8')).toBinary({}).buffer
const manifest = JSON.parse(await readFile(join(folder, 'module.json'), 'utf8'))
manifest.runtime.program.sha256 = `0x${createHash('sha256').update(program).digest('hex')}`
manifest.runtime.program.bytes = program.length

await mkdir(dirname(programPath), { recursive: true })
await writeFile(programPath, program)
await writeFile(manifestPath, `${JSON.stringify(manifest, null, 2)}\n`)
process.stdout.write(`${JSON.stringify({ manifestPath, programPath })}\n`)
