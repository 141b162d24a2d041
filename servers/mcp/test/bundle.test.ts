import { copyFileSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { bundleFile, connectHttp, connectStdio, makeSilentNetwork, startHttpProcess } from './clients.ts'

const silent = makeSilentNetwork()
afterAll(() => rmSync(silent.folder, { recursive: true, force: true }))
const args = ['--network', silent.networkFile, '--state-dir', silent.stateDirectory, '--key-file', silent.keyFile]

test('the published file is one, small, and can be executed', () => {
  const { size, mode } = statSync(bundleFile)
  expect(size).toBeLessThan(2_000_000)
  expect(mode & 0o100).toBe(0o100)
})

test('it runs alone in a folder, on stdio and HTTP', async () => {
  const alone = join(silent.folder, 'alone')
  mkdirSync(alone)
  const file = join(alone, 'lilypad-mcp.mjs')
  copyFileSync(bundleFile, file)
  const { client } = await connectStdio(args, 'modern', file)
  expect((await client.listTools()).tools).toHaveLength(11)
  await client.close()
  const server = await startHttpProcess(args, file)
  const over = await connectHttp(server.url, 'legacy')
  expect((await over.listTools()).tools).toHaveLength(11)
  await over.close()
  await server.close()
})
