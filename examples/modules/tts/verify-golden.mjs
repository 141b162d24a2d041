// usage: node verify-golden.mjs                        runs every example of module.json and compares its outputs
//        node verify-golden.mjs <outputs> [<golden>]   compares a folder that a provider filled (golden: golden/sentence)
// Prints one line of JSON and exits with 1 on a difference.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const module = dirname(fileURLToPath(import.meta.url))

/** Compares speech.wav with its golden digest and makes sure that there is something to hear. */
async function compare(outputs, golden) {
  const bytes = await readFile(join(outputs, 'speech.wav'))
  const [expected] = (await readFile(join(golden, 'speech.wav.sha256'), 'utf8')).split(/\s/)
  const actual = createHash('sha256').update(bytes).digest('hex')
  return { golden, matches: actual === expected, expected, actual, ...describeWave(bytes) }
}

/** Reads what a listener would get: duration, and loudness as root mean square of samples between -1 and 1. */
function describeWave(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tag = (at) => bytes.toString('latin1', at, at + 4)
  const [format, channels, bitsPerSample] = [
    view.getUint16(20, true),
    view.getUint16(22, true),
    view.getUint16(34, true),
  ]
  const wellFormed =
    tag(0) === 'RIFF' &&
    tag(8) === 'WAVE' &&
    tag(12) === 'fmt ' &&
    tag(36) === 'data' &&
    format === 1 &&
    channels === 1 &&
    bitsPerSample === 16
  const sampleRate = view.getUint32(24, true)
  const dataBytes = view.getUint32(40, true)
  const samples = Math.floor(Math.min(dataBytes, bytes.length - 44) / 2)
  let energy = 0
  for (let index = 0; index < samples; index++) energy += (view.getInt16(44 + 2 * index, true) / 32768) ** 2
  const loudness = Math.sqrt(energy / samples)
  const seconds = samples / sampleRate
  const audible = wellFormed && dataBytes === bytes.length - 44 && seconds > 0.2 && loudness > 0.01
  return { audible, seconds: Number(seconds.toFixed(2)), loudness: Number(loudness.toFixed(3)), sampleRate }
}

/** Runs the examples with the WASI of Node: a second implementation beside the provider's, though not a sandbox. */
async function compareExamples() {
  const manifest = JSON.parse(await readFile(join(module, 'module.json'), 'utf8'))
  const build = await promisify(execFile)(process.execPath, [join(module, 'build.mjs')])
  const { programPath } = JSON.parse(build.stdout)
  const { WASI } = await import('node:wasi')
  const program = await WebAssembly.compile(await readFile(programPath))
  const results = []
  for (const example of manifest.examples) {
    const inputs = { voice: manifest.inputs.properties.voice.default, ...example.inputs }
    const args = manifest.runtime.args.map((argument) => argument.replace(/^\{(\w+)\}$/, (_, name) => inputs[name]))
    const outputs = await mkdtemp(join(tmpdir(), 'tts-'))
    const log = await open(join(outputs, 'log'), 'w')
    try {
      const wasi = new WASI({
        version: 'preview1',
        args,
        env: {},
        preopens: { '/out': outputs },
        stdout: log.fd,
        stderr: log.fd,
      })
      wasi.start(await WebAssembly.instantiate(program, wasi.getImportObject()))
      results.push(await compare(outputs, join(module, example.golden)))
    } finally {
      await log.close()
      await rm(outputs, { recursive: true, force: true })
    }
  }
  return results
}

const [outputs, golden = join(module, 'golden/sentence')] = process.argv.slice(2)
const results = outputs ? [await compare(outputs, golden)] : await compareExamples()
process.stdout.write(`${JSON.stringify(results)}\n`)
if (!results.every(({ matches, audible }) => matches && audible)) process.exitCode = 1
