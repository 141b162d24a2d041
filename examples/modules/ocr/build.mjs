// usage: node build.mjs [--archive <file> | --context <folder>]
// Puts the image together, loads it into the local Docker Engine and prints one line of JSON.
import { createWriteStream } from 'node:fs'
import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { connectEngine, engineSocket } from './recipe/docker-engine.mjs'
import { BuildFailure } from './recipe/failure.mjs'
import { createImageArchive } from './recipe/image-archive.mjs'
import { assertLinuxHost, listImageTree, readImageConfig } from './recipe/image-tree.mjs'
import { installPackages } from './recipe/packages.mjs'
import { writeTar } from './recipe/tar.mjs'

const module = dirname(fileURLToPath(import.meta.url))
const cache = join(module, '.build')
const progress = (text) => process.stderr.write(`ocr: ${text}\n`)
const save = (stream, path) => pipeline(Readable.from(stream), createWriteStream(path))

async function main() {
  const { values: options } = parseArgs({ options: { archive: { type: 'string' }, context: { type: 'string' } } })
  assertLinuxHost(process.report.getReport().header.glibcVersionRuntime)
  await mkdir(cache, { recursive: true })
  const modules = await installPackages({ module, cache, progress })
  const tree = await listImageTree({ module, modules })

  const source = JSON.parse(await readFile(join(module, 'module.json'), 'utf8'))
  const { reference } = source.runtime.image
  progress(`putting ${tree.length} files and folders together`)
  const image = await createImageArchive({ tree, reference, config: await readImageConfig(join(module, 'Dockerfile')) })
  const manifestPath = await writeManifest(source, image.imageId)

  if (options.context) {
    await mkdir(options.context, { recursive: true })
    await copyFile(join(module, 'Dockerfile'), join(options.context, 'Dockerfile'))
    await save(writeTar(tree), join(options.context, 'rootfs.tar'))
  }
  if (options.archive) await save(image.stream(), options.archive)
  const loaded = options.context || options.archive ? undefined : await load(image)
  const { imageId, manifestDigest } = image
  return {
    manifestPath,
    imageId,
    manifestDigest,
    engineId: loaded,
    reference,
    archive: options.archive && resolve(options.archive),
  }
}

/** Loads the image unless it is there. Engines that keep images in containerd know it by the manifest's digest. */
async function load(image) {
  const engine = connectEngine(engineSocket(process.env.DOCKER_HOST))
  const names = [image.imageId, image.manifestDigest]
  const present = await engine.findImage(names)
  if (present) {
    progress(`already loaded as ${present}`)
    return present
  }
  progress(`loading ${Math.round(image.layerBytes / 1e6)} MB into Docker`)
  await engine.loadImage(image.stream())
  const loaded = await engine.findImage(names)
  if (!loaded)
    throw new BuildFailure(`Docker loaded the archive, but does not know the image as ${names.join(' or ')}.`)
  return loaded
}

/** Fills the image's digest into the manifest; only the built manifest can be published. */
async function writeManifest(source, imageId) {
  const path = join(cache, 'module.json')
  source.runtime.image.digest = imageId
  await writeFile(`${path}.${process.pid}`, `${JSON.stringify(source, null, 2)}\n`)
  await rename(`${path}.${process.pid}`, path)
  return path
}

try {
  process.stdout.write(`${JSON.stringify(await main())}\n`)
} catch (error) {
  process.stderr.write(`ocr: ${error instanceof BuildFailure ? error.message : error.stack}\n`)
  process.exitCode = 1
}
