// usage: node build.mjs [--weights <file.gguf>] [--no-image]
// Fetches the weights, builds the image with Docker, and prints one line of JSON. `.build/module.json` is what can be published.
// Without an image the manifest names none that exists: only a provider that trusts the version, and has this folder, runs it.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { fetchWeights } from './fetch-weights.mjs'

/** Builds the image of a module's folder. */
export async function buildModule(folder) {
  const { values } = parseArgs({ options: { weights: { type: 'string' }, 'no-image': { type: 'boolean' } } })
  const modelPath = join(folder, '.build', 'model.gguf')
  mkdirSync(dirname(modelPath), { recursive: true })
  if (values.weights !== undefined) copyFileSync(values.weights, modelPath)
  else await fetchWeights(JSON.parse(readFileSync(join(folder, 'weights.json'), 'utf8')), modelPath)
  const manifest = JSON.parse(readFileSync(join(folder, 'module.json'), 'utf8'))
  const { reference } = manifest.runtime.image
  if (values['no-image']) manifest.runtime.env.MODEL_PATH = modelPath
  const imageId = values['no-image'] ? `sha256:${'0'.repeat(64)}` : buildImage(folder, reference)
  manifest.runtime.image.digest = imageId
  const manifestPath = join(folder, '.build', 'module.json')
  writeFileSync(manifestPath, `${JSON.stringify(manifest, null, 2)}\n`)
  process.stdout.write(`${JSON.stringify({ manifestPath, imageId, reference })}\n`)
}

function buildImage(folder, reference) {
  execFileSync('docker', ['build', '--tag', reference, folder], { stdio: ['ignore', 2, 2] })
  return execFileSync('docker', ['image', 'inspect', '--format', '{{.Id}}', reference]).toString().trim()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await buildModule(import.meta.dirname)
