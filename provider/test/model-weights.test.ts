import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const chat = new URL('../../examples/modules/chat/', import.meta.url)
const run = promisify(execFile)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const content = Buffer.from('a small file of weights')
let folder: string
let server: Server
let url: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-weights-'))
  server = createServer((_request, response) => response.end(content)).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights`
})
afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true, force: true })
})

test('the tiny model is the same on every machine', async () => {
  const path = join(folder, 'tiny.gguf')
  await run(process.execPath, [new URL('tiny-model.mjs', chat).pathname, path])
  const bytes = await readFile(path)
  expect(bytes.subarray(0, 4).toString()).toBe('GGUF')
  expect(sha256(bytes)).toBe('86e0fdd218c1e01ae72d8ab9d11d3f05ef399717a82dc5901db745bc8f06efb3')
})

/** The script as the build uses it; it has no types. */
const fetchWeights = async (weights: object, path: string) =>
  (await import(new URL('fetch-weights.mjs', chat).href)).fetchWeights(weights, path)

test('weights are kept when their digest is the one that is named', async () => {
  const path = join(folder, 'good', 'model.gguf')
  await fetchWeights({ url, sha256: sha256(content), bytes: content.length }, path)
  expect(await readFile(path)).toEqual(content)
})

test.each([
  ['other bytes', { sha256: sha256(Buffer.from('other')), bytes: content.length }, 'is not what it should be'],
  ['more bytes', { sha256: sha256(content), bytes: 3 }, 'sends more than the 3 bytes'],
])('weights of %s are thrown away', async (name, facts, message) => {
  const home = join(folder, name.replace(' ', '-'))
  await expect(fetchWeights({ url, ...facts }, join(home, 'model.gguf'))).rejects.toThrow(message)
  expect(await readdir(home)).toEqual([])
})
