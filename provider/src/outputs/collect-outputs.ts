import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, lstat, mkdir, open, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Hex, isSafePath, type OutputFile } from '@lilypad-agents/protocol'

export type OutputLimits = { readonly outputBytes: number; readonly outputFiles: number }

export type Collected =
  | { readonly kind: 'collected'; readonly outputs: readonly OutputFile[] }
  | { readonly kind: 'output-limit' }
  | { readonly kind: 'refused-output'; readonly reason: string; readonly path: string }

/** Folders below `/out` may nest this deep. */
export const maxOutputDepth = 16
/** Longest path, in bytes of UTF-8. */
export const maxOutputPathBytes = 512
const maxNameBytes = 255

/** Folders allowed beside the files: a tree of empty folders must not cost more than one of files. */
export function maxOutputFolders(limits: OutputLimits): number {
  return limits.outputFiles + maxOutputDepth
}

/** Why a path is refused as the path of an output, or undefined when it is fine. */
export function findPathProblem(path: string): string | undefined {
  const parts = path.split('/')
  if (parts.length > maxOutputDepth) return 'folders nest too deep'
  if (Buffer.byteLength(path) > maxOutputPathBytes) return 'the path is too long'
  if (parts.some((part) => Buffer.byteLength(part) > maxNameBytes)) return 'a name is too long'
  if (!isSafePath(path)) return 'the path is not a plain relative path'
  return undefined
}

/** A stranger's path as it may stand in a record: quoted, without control characters, cut. */
export function quotePath(path: string): string {
  return JSON.stringify(path.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\ufffd')).slice(0, 120)
}

/** Sorts outputs by path, by code unit, as the outputs' root does. */
export function sortOutputs(outputs: readonly OutputFile[]): readonly OutputFile[] {
  return [...outputs].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}

class Refusal extends Error {
  readonly reason: string
  readonly path: string
  constructor(reason: string, path: string) {
    super(reason)
    this.reason = reason
    this.path = path
  }
}
class TooMuch extends Error {}

type Found = { readonly path: string; readonly bytes: number; readonly device: number; readonly inode: number }

/**
 * Copies what a dead program left in `source` to the empty folder `destination`, hashing on the way.
 *
 * Takes regular files with a single name and nothing else: a link, a pipe, a device, a second hard link or a name
 * that is not plain UTF-8 refuses the whole tree, because an honest program makes none of these. Everything is looked
 * at before anything is copied, sizes are compared with the limits before bytes are read (a sparse terabyte is
 * refused, not read), and files are opened relative to their folder without following links.
 */
export async function collectOutputs(options: {
  readonly source: string
  readonly destination: string
  readonly limits: OutputLimits
}): Promise<Collected> {
  const { source, destination, limits } = options
  const budget = { bytes: limits.outputBytes, files: limits.outputFiles, folders: maxOutputFolders(limits) }
  try {
    const found: Found[] = []
    await walk(source, '', budget, found)
    const outputs: OutputFile[] = []
    for (const file of found) outputs.push(await copyFound(source, destination, file))
    return { kind: 'collected', outputs: sortOutputs(outputs) }
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof TooMuch)) throw error
    await emptyFolder(destination)
    return error instanceof TooMuch
      ? { kind: 'output-limit' }
      : { kind: 'refused-output', reason: error.reason, path: quotePath(error.path) }
  }
}

/** Removes everything inside a folder but not the folder. */
export async function emptyFolder(folder: string): Promise<void> {
  for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true, force: true })
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

async function walk(
  folder: string,
  prefix: string,
  budget: { bytes: number; files: number; folders: number },
  found: Found[],
): Promise<void> {
  const entries = await readdir(folder, { encoding: 'buffer', withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      throw error.code === 'EACCES' ? new Refusal('a folder cannot be read', prefix) : error
    },
  )
  if (entries.length > budget.files + budget.folders) throw new TooMuch()
  for (const entry of entries) {
    const path = prefix + decodeName(entry.name, prefix)
    const problem = findPathProblem(path)
    if (problem !== undefined) throw new Refusal(problem, path)
    const full = join(folder, path.slice(prefix.length))
    const stat = await lstat(full).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EACCES' ? new Refusal('a folder cannot be read', path) : error
    })
    if (stat.isDirectory()) {
      budget.folders -= 1
      if (budget.folders < 0) throw new TooMuch()
      await walk(full, `${path}/`, budget, found)
      continue
    }
    if (!stat.isFile()) throw new Refusal('only regular files are accepted', path)
    if (stat.nlink !== 1) throw new Refusal('the file has more than one name', path)
    budget.files -= 1
    budget.bytes -= stat.size
    if (budget.files < 0 || budget.bytes < 0) throw new TooMuch()
    found.push({ path, bytes: stat.size, device: stat.dev, inode: stat.ino })
  }
}

function decodeName(name: Buffer, prefix: string): string {
  try {
    return utf8.decode(name)
  } catch {
    throw new Refusal('a name is not valid UTF-8', `${prefix}${name.toString('utf8')}`)
  }
}

async function copyFound(source: string, destination: string, file: Found): Promise<OutputFile> {
  const from = await openBeneath(source, file)
  try {
    const stat = await from.stat()
    if (
      !stat.isFile() ||
      stat.nlink !== 1 ||
      stat.ino !== file.inode ||
      stat.dev !== file.device ||
      stat.size !== file.bytes
    ) {
      throw new Refusal('the file changed while it was collected', file.path)
    }
    const target = join(destination, file.path)
    await mkdir(dirname(target), { recursive: true })
    const to = await open(
      target,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o644,
    ).catch((error: NodeJS.ErrnoException) => {
      throw error.code === 'EEXIST'
        ? new Refusal('two outputs have the same name on this file system', file.path)
        : error
    })
    try {
      return { path: file.path, bytes: file.bytes, sha256: await copyAndHash(from, to, file) }
    } finally {
      await to.close()
    }
  } finally {
    await from.close()
  }
}

async function copyAndHash(from: FileHandle, to: FileHandle, file: Found): Promise<Hex> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.min(1024 ** 2, file.bytes + 1))
  for (let offset = 0; ; ) {
    const { bytesRead } = await from.read(buffer, 0, buffer.length, offset)
    if (bytesRead === 0 && offset === file.bytes) return `0x${hash.digest('hex')}`
    offset += bytesRead
    if (bytesRead === 0 || offset > file.bytes) throw new Refusal('the file changed while it was collected', file.path)
    const piece = buffer.subarray(0, bytesRead)
    hash.update(piece)
    await to.writeFile(piece)
  }
}

/** Opens a file step by step below a folder, so that no part of its path can be a link (openat, by way of /proc). */
async function openBeneath(root: string, file: Found): Promise<FileHandle> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const refuse = (error: NodeJS.ErrnoException): never => {
    if (error.code === 'EACCES') throw new Refusal('the file cannot be read', file.path)
    throw error.code === 'ELOOP' || error.code === 'ENOTDIR'
      ? new Refusal('a link stands in the way', file.path)
      : error
  }
  if (process.platform !== 'linux') return open(join(root, file.path), flags).catch(refuse)
  const parts = file.path.split('/')
  const name = parts.pop() ?? ''
  let folder = await open(root, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    for (const part of parts) {
      const next = await open(
        `/proc/self/fd/${folder.fd}/${part}`,
        constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
      ).catch(refuse)
      await folder.close()
      folder = next
    }
    return await open(`/proc/self/fd/${folder.fd}/${name}`, flags).catch(refuse)
  } finally {
    await folder.close()
  }
}
