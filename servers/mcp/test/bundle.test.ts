import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { encodePhoto } from './photo.ts'
import { seedJobs, seedNetwork } from './seed-jobs.ts'
import { bundleFile, callTool, connectHttp, connectStdio, makeSilentNetwork, startHttpProcess } from './clients.ts'

const silent = makeSilentNetwork()
afterAll(() => rmSync(silent.folder, { recursive: true, force: true }))
const args = ['--network', silent.networkFile, '--state-dir', silent.stateDirectory, '--key-file', silent.keyFile]
const bundle = dirname(bundleFile)
const parts = readdirSync(join(bundle, 'parts')).map((name) => join(bundle, 'parts', name))

test('V4: the published files are few and small, and the first can be executed', () => {
  const bytes = [bundleFile, ...parts].reduce((sum, file) => sum + statSync(file).size, 0)
  expect(bytes).toBeLessThan(3_000_000)
  expect(parts.length).toBeLessThan(100)
  expect(statSync(bundleFile).mode & 0o100).toBe(0o100)
})

test('V1: what only calls need is not read at the start', () => {
  const main = parts.find((file) => /main-\w+\.js$/.test(file)) ?? ''
  const read = new Set<string>()
  const follow = (file: string) => {
    if (read.has(file)) return
    read.add(file)
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/(?:from|import)"\.\/([^"]+)"/g))
      follow(join(dirname(file), name))
  }
  follow(main)
  const text = [...read].map((file) => readFileSync(file, 'utf8')).join('')
  // The chain client, the ABI of the vault, and encryption of outputs.
  for (const mark of ['eth_getLogs', 'LaneSkipped', 'age-encryption.org']) {
    expect(text, mark).not.toContain(mark)
    expect(
      parts.some((file) => readFileSync(file, 'utf8').includes(mark)),
      mark,
    ).toBe(true)
  }
  expect(text.length).toBeLessThan(1_000_000)
})

test('it runs alone in a folder, on stdio and HTTP', async () => {
  const alone = join(silent.folder, 'alone')
  cpSync(bundle, alone, { recursive: true })
  const file = join(alone, 'lilypad-mcp.js')
  writeFileSync(join(alone, 'package.json'), '{ "type": "module" }')
  const { client } = await connectStdio(args, 'modern', file)
  expect((await client.listTools()).tools).toHaveLength(11)
  await client.close()
  const server = await startHttpProcess(args, file)
  const over = await connectHttp(server.url, 'legacy')
  expect((await over.listTools()).tools).toHaveLength(11)
  await over.close()
  await server.close()
})

test('S7: its decoders are in it', async () => {
  const stateDirectory = join(silent.folder, 'photos')
  const [job_id] = await seedJobs(stateDirectory, [
    { outputs: { 'photo.jpg': await encodePhoto(900, 700) }, declared: { 'photo.jpg': 'image/jpeg' } },
  ])
  const networkFile = join(silent.folder, 'seeded.json')
  writeFileSync(networkFile, JSON.stringify(seedNetwork))
  const { client, errors } = await connectStdio(
    ['--network', networkFile, '--state-dir', stateDirectory, '--key-file', silent.keyFile],
    'modern',
    bundleFile,
  )
  const { content } = await callTool(client, 'lilypad_get_outputs', { job_id })
  expect(
    content.map(({ type, mimeType }) => [type, mimeType]),
    errors(),
  ).toContainEqual(['image', 'image/jpeg'])
  await client.close()
})
