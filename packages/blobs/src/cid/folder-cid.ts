import { createReadStream } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bytes32, fromHex, LilypadError } from '@lilypad-agents/protocol'
import { importer } from 'ipfs-unixfs-importer'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { create as createDigest } from 'multiformats/hashes/digest'

/** A file of a folder, by its `/`-separated path. */
export type FolderFile = { readonly path: string; readonly content: AsyncIterable<Uint8Array> | Iterable<Uint8Array> }

/**
 * How content becomes blocks. `v1` is what `ipfs add --cid-version=1` makes (raw leaves), `v0` what plain `ipfs add` and
 * the original Lilypad make; both cut at 256 KiB.
 */
export type CidVersion = 'v0' | 'v1'

const settings = {
  v0: { cidVersion: 0, rawLeaves: false },
  v1: { cidVersion: 1, rawLeaves: true },
} as const

/** Takes blocks and keeps none: only their names are wanted. */
const nowhere = { put: (cid: CID) => cid }
const root = 'root'

/**
 * IPFS name of a folder of files, as `ipfs add -r` gives it, computed here: nothing is published. Bytes are streamed,
 * so the size of files does not matter.
 */
export async function folderCid(
  files: AsyncIterable<FolderFile> | Iterable<FolderFile>,
  version: CidVersion = 'v1',
): Promise<string> {
  async function* candidates() {
    yield { path: root }
    for await (const { path, content } of files) yield { path: `${root}/${path}`, content }
  }
  return nameOf(candidates(), version)
}

/** IPFS name of one file, as `ipfs add` gives it. */
export async function fileCid(content: FolderFile['content'], version: CidVersion = 'v1'): Promise<string> {
  return nameOf([{ path: root, content }], version)
}

/**
 * IPFS name of a file or folder of this machine; empty folders count, as they do for `ipfs add`.
 * @throws LilypadError INVALID_REQUEST for anything but files and folders: links are not followed
 */
export async function pathCid(path: string, version: CidVersion = 'v1'): Promise<string> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isFile()) return fileCid(createReadStream(path), version)
  if (!found?.isDirectory())
    throw new LilypadError('INVALID_REQUEST', 'Only a file or a folder has a CID.', {
      details: [`Path: ${JSON.stringify(path.slice(0, 200))}`],
      hint: 'name a file or a folder of this machine; symbolic links are not followed',
    })
  return nameOf(walk(path, root), version)
}

/** CID of a blob by its digest alone, without its bytes: a single raw block, whatever its size. */
export function blobCid(sha256: Bytes32): string {
  return CID.createV1(raw.code, createDigest(0x12, fromHex(sha256))).toString()
}

async function* walk(
  folder: string,
  name: string,
): AsyncGenerator<{ path: string; content?: AsyncIterable<Uint8Array> }> {
  yield { path: name }
  const entries = await readdir(folder, { withFileTypes: true })
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* walk(path, `${name}/${entry.name}`)
    else if (entry.isFile()) yield { path: `${name}/${entry.name}`, content: createReadStream(path) }
    else
      throw new LilypadError('INVALID_REQUEST', 'The folder holds something that is neither file nor folder.', {
        details: [`Path: ${JSON.stringify(path.slice(0, 200))}`],
        hint: 'remove it, or name another folder',
      })
  }
}

async function nameOf(candidates: Parameters<typeof importer>[0], version: CidVersion): Promise<string> {
  let last: CID | undefined
  const options = {
    ...settings[version],
    chunker: fixedSize({ chunkSize: 262_144 }),
    layout: balanced({ maxChildrenPerNode: 174 }),
    // One file after the other: opened when it is read, so that a large folder needs few handles.
    fileImportConcurrency: 1,
  }
  // The root comes last.
  for await (const { cid } of importer(candidates, nowhere, options)) last = cid
  if (last === undefined) throw new RangeError('the importer named nothing')
  return last.toString()
}
