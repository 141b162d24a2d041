// usage: node fetch-weights.mjs <weights.json> <file>
// Fetches the weights of a model, says how far it is, and keeps nothing whose digest is another.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflateRawSync } from 'node:zlib'

const progressMilliseconds = 2000
const log = (text) => process.stderr.write(`weights: ${text}\n`)

async function digestOf(path) {
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path)) hash.update(piece)
  return hash.digest('hex')
}

async function download({ url, sha256, bytes }, path) {
  const response = await fetch(url)
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`)
  const file = await open(path, 'w')
  const hash = createHash('sha256')
  let length = 0
  let saidAt = 0
  try {
    for await (const piece of response.body) {
      length += piece.length
      if (length > bytes) throw new Error(`${url} sends more than the ${bytes} bytes it should have`)
      hash.update(piece)
      await file.write(piece)
      if (Date.now() - saidAt > progressMilliseconds) {
        saidAt = Date.now()
        log(`${Math.floor((100 * length) / bytes)} % of ${Math.round(bytes / 1e6)} MB`)
      }
    }
  } finally {
    await file.close()
  }
  assertDigest(url, sha256, hash.digest('hex'))
}

function assertDigest(what, expected, actual) {
  if (actual !== expected)
    throw new Error(`${what} is not what it should be.\n  Expected: ${expected}   Actual: ${actual}`)
}

/** Reads one file out of a zip archive, such as a Python wheel. @see https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT */
export function readZipMember(archive, path) {
  const end = archive.lastIndexOf(Buffer.from('PK\x05\x06'))
  if (end < 0) throw new Error('the archive is no zip file')
  let at = archive.readUInt32LE(end + 16)
  for (let left = archive.readUInt16LE(end + 10); left > 0; left -= 1) {
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset))
    const name = archive.toString('utf8', at + 46, at + 46 + nameLength)
    if (name === path) {
      const [method, size, header] = [
        archive.readUInt16LE(at + 10),
        archive.readUInt32LE(at + 20),
        archive.readUInt32LE(at + 42),
      ]
      const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28)
      const content = archive.subarray(start, start + size)
      return method === 0 ? content : inflateRawSync(content)
    }
    at += 46 + nameLength + extraLength + commentLength
  }
  throw new Error(`the archive has no ${path}`)
}

/** Brings the weights to a path, from their address or from a copy of what lies there. */
export async function fetchWeights(weights, path, { copy } = {}) {
  const { sha256, member } = weights
  const wanted = member?.sha256 ?? sha256
  if ((await stat(path).catch(() => undefined)) !== undefined && (await digestOf(path)) === wanted) return
  await mkdir(dirname(path), { recursive: true })
  const fetched = copy ?? `${path}.download`
  try {
    if (copy === undefined) await download(weights, fetched)
    else assertDigest(copy, sha256, await digestOf(copy))
    if (member === undefined) {
      if (copy === undefined) return await rename(fetched, path)
      return await writeFile(path, await readFile(copy))
    }
    const content = readZipMember(await readFile(fetched), member.path)
    assertDigest(member.path, member.sha256, createHash('sha256').update(content).digest('hex'))
    await writeFile(`${path}.part`, content)
    await rename(`${path}.part`, path)
  } finally {
    if (copy === undefined) await rm(fetched, { force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [description = 'weights.json', path = '.build/model.gguf'] = process.argv.slice(2)
  await fetchWeights(JSON.parse(await readFile(description, 'utf8')), path)
  log(`${path} is there`)
}
