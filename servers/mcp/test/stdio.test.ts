import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { callRefused, callTool, canaryKey, connectStdio, eras, mainFile, makeSilentNetwork } from './clients.ts'

const silent = makeSilentNetwork()
afterAll(() => rmSync(silent.folder, { recursive: true, force: true }))
const args = ['--network', silent.networkFile, '--state-dir', silent.stateDirectory, '--key-file', silent.keyFile]

/** Starts the server and speaks lines with it. */
function startRaw(extra: readonly string[] = []) {
  const child = spawn(process.execPath, ['--conditions=source', mainFile, ...args, ...extra], {
    env: {},
    stdio: 'pipe',
  })
  const lines: string[] = []
  let errors = ''
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const send = (message: Record<string, unknown>) =>
    child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  const answerTo = async (id: number): Promise<Record<string, unknown>> => {
    for (let round = 0; round < 200; round++) {
      const line = lines.find((line) => JSON.parse(line).id === id)
      if (line) return JSON.parse(line)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`no answer to ${id}; stderr: ${errors}`)
  }
  return { child, lines, errors: () => errors, send, answerTo }
}

const initialize = (protocolVersion: string) => ({
  method: 'initialize',
  params: { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } },
})
const modernMeta = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': {},
  'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
}

describe.each(eras)('in the %s era', (era) => {
  test('lists, answers and refuses', async () => {
    const { client, errors } = await connectStdio([...args, '--log-level', 'debug'], era)
    expect((await client.listTools()).tools).toHaveLength(11)
    expect((await callTool(client, 'lilypad_list_jobs')).isError).toBeUndefined()
    expect(await callRefused(client, 'lilypad_search_modules')).toMatchObject({ code: 'SOLVER_UNREACHABLE' })
    await client.close()
    for (const line of errors().trim().split('\n')) expect(() => JSON.parse(line), line).not.toThrow()
  })
})

test.each(['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'])(
  'P4: a client of %s is served',
  async (revision) => {
    const { child, send, answerTo } = startRaw()
    send({ id: 1, ...initialize(revision) })
    expect(await answerTo(1)).toMatchObject({ result: { protocolVersion: revision } })
    send({ method: 'notifications/initialized' })
    send({ id: 2, method: 'tools/list' })
    expect(JSON.stringify(await answerTo(2))).toContain('lilypad_run_job')
    child.stdin.end()
    expect(await once(child, 'exit')).toEqual([0, null])
  },
)

test('P4: a client that asks what is spoken and then opens in the old way is served', async () => {
  const { child, send, answerTo } = startRaw()
  send({ id: 1, method: 'server/discover', params: { _meta: modernMeta } })
  expect(await answerTo(1)).toMatchObject({ result: { supportedVersions: expect.arrayContaining(['2026-07-28']) } })
  send({ id: 2, ...initialize('2025-11-25') })
  expect(await answerTo(2)).toMatchObject({ result: { protocolVersion: '2025-11-25' } })
  send({ method: 'notifications/initialized' })
  send({ id: 3, method: 'tools/list' })
  expect(JSON.stringify(await answerTo(3))).toContain('lilypad_search_modules')
  child.kill('SIGTERM')
  expect(await once(child, 'exit')).toEqual([0, null])
})

test('stdout carries frames only, whatever comes in', async () => {
  const { child, send, answerTo, lines, errors } = startRaw(['--log-level', 'debug'])
  child.stdin.write('this is no JSON\n{"jsonrpc":"2.0"}\n[]\n\n')
  send({ id: 1, ...initialize('2025-11-25') })
  await answerTo(1)
  send({ id: 2, method: 'tools/call', params: { name: 'lilypad_get_module', arguments: { module: 'x'.repeat(5000) } } })
  send({ id: 3, method: 'no/such/method' })
  await answerTo(2)
  await answerTo(3)
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ jsonrpc: '2.0' })
  child.stdin.end()
  await once(child, 'exit')
  expect(errors()).not.toContain('xxxxx')
})

test('P5: stdout stays empty when the process cannot start or is ended in the middle of a call', async () => {
  const broken = startRaw(['--state-dir', '/dev/null/none', '--log-level', 'debug'])
  expect(await once(broken.child, 'exit')).toEqual([1, null])
  expect(broken.lines).toEqual([])
  for (const line of broken.errors().trim().split('\n')) expect(() => JSON.parse(line), line).not.toThrow()

  const { child, send, answerTo, lines, errors } = startRaw(['--log-level', 'debug'])
  send({ id: 1, ...initialize('2025-11-25') })
  await answerTo(1)
  send({ id: 2, method: 'tools/call', params: { name: 'lilypad_search_modules', arguments: {} } })
  send({ id: 3, method: 'tools/call', params: { name: 'lilypad_get_wallet', arguments: {} } })
  child.stdin.write(`${'['.repeat(5000)}${']'.repeat(5000)}\n`)
  child.kill('SIGTERM')
  await once(child, 'exit')
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ jsonrpc: '2.0' })
  for (const line of errors().trim().split('\n')) expect(() => JSON.parse(line), line).not.toThrow()
})

test('P8: a call that is cancelled over stdio gets no answer, and the server goes on', async () => {
  const { child, send, answerTo, lines } = startRaw()
  send({ id: 1, ...initialize('2025-11-25') })
  await answerTo(1)
  send({ id: 2, method: 'tools/call', params: { name: 'lilypad_get_wallet', arguments: {} } })
  send({ method: 'notifications/cancelled', params: { requestId: 2, reason: 'changed my mind' } })
  send({ id: 3, method: 'tools/list' })
  await answerTo(3)
  expect(lines.some((line) => JSON.parse(line).id === 2)).toBe(false)
  child.stdin.end()
  await once(child, 'exit')
})

test('the key is in no byte that leaves the process', async () => {
  const { child, send, answerTo, lines, errors } = startRaw(['--log-level', 'debug'])
  send({ id: 1, ...initialize('2025-11-25') })
  await answerTo(1)
  for (const [id, name] of ['lilypad_get_wallet', 'lilypad_search_modules', 'lilypad_list_jobs'].entries()) {
    send({ id: id + 2, method: 'tools/call', params: { name, arguments: {} } })
    await answerTo(id + 2)
  }
  child.stdin.end()
  await once(child, 'exit')
  const files = readdirSync(silent.stateDirectory, { recursive: true, encoding: 'utf8' })
    .map((name) => join(silent.stateDirectory, name))
    .filter((path) => statSync(path).isFile())
  const bytes = [...lines, errors(), ...files.map((path) => readFileSync(path, 'latin1'))].join('\n').toLowerCase()
  expect(bytes).not.toContain(canaryKey.slice(2))
  expect(bytes).not.toContain(Buffer.from(canaryKey.slice(2), 'hex').toString('latin1').toLowerCase())
  expect(bytes).not.toContain(BigInt(canaryKey).toString())
})

test('a wrong configuration ends the process with one JSON line that says what', async () => {
  const { child, lines, errors } = startRaw(['--max-per-job', 'lots'])
  expect(await once(child, 'exit')).toEqual([1, null])
  expect(lines).toEqual([])
  expect(JSON.parse(errors().trim())).toMatchObject({
    code: 'CONFIG_INVALID',
    details: [expect.stringContaining('--max-per-job')],
  })
})

test('V1: nothing goes over the network before a tool is called', async () => {
  let connections = 0
  const listener = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = z.object({ port: z.number() }).parse(listener.address())
  const networkFile = join(silent.folder, 'counted.json')
  const url = `http://127.0.0.1:${port}`
  writeFileSync(networkFile, JSON.stringify({ ...silent.network, rpcUrl: url, solverUrl: url }))
  const { client } = await connectStdio(
    [
      '--network',
      networkFile,
      '--state-dir',
      join(silent.folder, 'counted'),
      '--key-file',
      silent.keyFile,
      '--pin',
      'tts',
    ],
    'legacy',
  )
  await client.listTools()
  await client.listPrompts()
  await client.listResourceTemplates()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(connections).toBe(0)
  await callRefused(client, 'lilypad_search_modules')
  expect(connections).toBeGreaterThan(0)
  await client.close()
  listener.close()
})
