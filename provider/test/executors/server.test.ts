import { spawn } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { chatRequest, serverManifest, serverProgram } from '../../fixtures/server-manifest.ts'
import type { ExecutorTask, RunOptions, ServerJob } from '../../src/executors/executor.ts'
import type { Gpu } from '../../src/gpu/gpu.ts'
import { VramLedger } from '../../src/gpu/vram-ledger.ts'
import { ServerExecutor, type ServerExecutorOptions } from '../../src/executors/server/server-executor.ts'

let folder: string
let count = 0
const open: ServerExecutor[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lp-'))
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((executor) => executor.close()))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

type Module = ReturnType<typeof serverManifest>

/** An executor that trusts the fixture server as these modules. */
function start(modules: readonly Module[], options: Partial<ServerExecutorOptions> = {}) {
  const stateDirectory = join(folder, `s${++count}`)
  const trusted = Object.fromEntries(modules.map(({ moduleVersion }) => [moduleVersion, serverProgram]))
  const executor = new ServerExecutor({
    stateDirectory,
    nodeId: `test-${process.pid}`,
    hasContainers: false,
    trusted,
    firstRestMilliseconds: 20,
    ...options,
  })
  open.push(executor)
  return executor
}

async function ask(
  executor: ServerExecutor,
  { manifest, moduleVersion }: Module,
  content: string,
  options: RunOptions & {
    readonly fields?: Readonly<Record<string, unknown>>
    readonly job?: Partial<ServerJob>
    readonly task?: Partial<ExecutorTask>
  } = {},
) {
  const { fields, job, task, ...how } = options
  const outputDirectory = join(folder, `o${++count}`)
  await mkdir(outputDirectory)
  const execution = await executor.run(
    {
      id: '0x01',
      runtime: manifest.runtime,
      args: [],
      env: {},
      inputs: [],
      limits: manifest.limits,
      outputDirectory,
      server: {
        moduleVersion,
        request: chatRequest(content, fields),
        caps: { inputUnits: 1000, outputUnits: 64 },
        isMetered: true,
        ...job,
      },
      ...task,
    },
    how,
  )
  const response =
    execution.outputs.length === 0
      ? undefined
      : JSON.parse(await readFile(join(outputDirectory, 'response.json'), 'utf8'))
  return { ...execution, response, text: response?.choices?.[0]?.message.content as string | undefined }
}

const parrot = serverManifest()

describe('a reply', () => {
  test('is the one output, with its use as the meter', async () => {
    const executor = start([parrot])
    const { outcome, outputs, response, units, isolation, logs } = await ask(executor, parrot, 'one two three')
    expect(outcome).toEqual({ kind: 'exited', code: 0 })
    expect(outputs.map(({ path }) => path)).toEqual(['response.json'])
    expect(response.choices[0].message.content).toBe('one two three')
    expect(units).toEqual({ inputUnits: 3, outputUnits: 3 })
    expect(isolation).toMatchObject({ tier: 'server', shared: true, backend: 'process' })
    expect(logs.stdout.bytes + logs.stderr.bytes).toBe(0)
  })

  test('is told how many tokens the order pays for, whatever was asked', async () => {
    const executor = start([parrot])
    const send = async (fields: Readonly<Record<string, unknown>>) =>
      JSON.parse((await ask(executor, parrot, '!request', { fields })).text ?? '')
    expect(await send({})).toMatchObject({ max_tokens: 64, n: 1, stream: false })
    expect(await send({ max_tokens: 5 })).toMatchObject({ max_tokens: 5 })
    expect(await send({ max_completion_tokens: 9_999 })).not.toHaveProperty('max_completion_tokens')
    expect(await send({ max_completion_tokens: 9_999 })).toMatchObject({ max_tokens: 64 })
    const { text, units } = await ask(executor, parrot, 'a b c', { fields: { n: 2, max_tokens: 2 } })
    expect({ text, units }).toEqual({ text: 'a b', units: { inputUnits: 3, outputUnits: 4 } })
  })

  describe('that is cut', () => {
    const slow = (stream_options: object) => ({ stream: true, stream_options })
    const cutAfter = (pieces: number) => {
      const cut = new AbortController()
      let got = ''
      const onResponse = (bytes: Uint8Array) => {
        got += Buffer.from(bytes)
        if (got.split('data: ').length > pieces) cut.abort()
      }
      return { cut: cut.signal, onResponse, sent: () => got }
    }

    test('is what was sent until then, with its use, and nobody takes it for whole', async () => {
      const executor = start([parrot])
      const { sent, ...how } = cutAfter(4)
      const fields = slow({ continuous_usage_stats: true })
      const { outcome, response, units } = await ask(executor, parrot, '!steadily 50', { ...how, fields })
      expect(outcome).toEqual({ kind: 'exited', code: 0, reason: 'the requester wanted no more of the reply' })
      const words = response.choices[0].message.content.split(' ')
      expect(response.choices[0].finish_reason).toBe('cancelled')
      expect(words.length).toBeLessThan(10)
      expect(units).toEqual({ inputUnits: 2, outputUnits: words.length })
      expect(sent().includes(`w${words.length - 1}`)).toBe(true)
      expect(sent().includes(`w${words.length}`)).toBe(false)
      expect((await ask(executor, parrot, 'back')).text).toBe('back')
    })

    test('goes on where the server does not tell what it has used', async () => {
      const executor = start([parrot])
      const { sent: _, ...how } = cutAfter(2)
      const { outcome, units } = await ask(executor, parrot, '!steadily 8', { ...how, fields: slow({}) })
      expect(outcome).toEqual({ kind: 'exited', code: 0 })
      expect(units).toEqual({ inputUnits: 2, outputUnits: 8 })
    })
  })

  test('comes as it is made when it is streamed, and is the same object in the end', async () => {
    const executor = start([parrot])
    const pieces: Uint8Array[] = []
    const fields = { stream: true, n: 2 }
    const onResponse = async (bytes: Uint8Array) => {
      await sleep(5)
      pieces.push(bytes)
    }
    const streamed = await ask(executor, parrot, 'one two three', { fields, onResponse })
    const whole = await ask(executor, parrot, 'one two three', { fields: { n: 2 } })
    expect(streamed.response).toEqual(whole.response)
    expect(streamed.units).toEqual(whole.units)
    const raw = Buffer.concat(pieces).toString()
    expect(raw).toMatch(/^data: \{.*\n\ndata: /)
    expect(raw.trimEnd()).toMatch(/data: \[DONE\]$/)
  })

  test('of embeddings has input units alone', async () => {
    const embedder = serverManifest({
      name: 'embedder',
      server: { protocol: 'openai-embeddings', path: '/v1/embeddings' },
    })
    const request = JSON.stringify({ model: 'parrot', input: ['a b', 'c'] })
    const { units, response } = await ask(start([embedder]), embedder, '', { job: { request } })
    expect(units).toEqual({ inputUnits: 3, outputUnits: 0 })
    expect(response.data).toHaveLength(2)
  })

  test('to a request in a file', async () => {
    const path = join(folder, 'request.json')
    await writeFile(path, chatRequest('from a file'))
    expect((await ask(start([parrot]), parrot, '', { job: { request: { path } } })).text).toBe('from a file')
  })
})

describe('a request that no server is asked', () => {
  test.each([
    ['not JSON', 'frog', 'the request is not JSON'],
    ['a list', '[]', 'the request is not a JSON object'],
    ['too many choices', chatRequest('x', { n: 129 }), 'n is a whole number from 1 to 128'],
    ['more choices than are paid for', chatRequest('x', { n: 65 }), 'the order does not pay for a single token'],
    ['best_of', chatRequest('x', { best_of: 3 }), 'best_of is not supported'],
    ['a stream that is no flag', chatRequest('x', { stream: 'yes' }), 'stream is true or false'],
  ])('%s', async (_name, request, reason) => {
    const executor = start([parrot])
    const { outcome, outputs } = await ask(executor, parrot, '', { job: { request } })
    expect(outcome).toMatchObject({ kind: 'trapped', reason: expect.stringContaining(reason) })
    expect(outputs).toEqual([])
    expect(executor.list().servers).toEqual([])
  })
})

describe('a server that', () => {
  const trapped = (reason: string) => ({ kind: 'trapped', reason: expect.stringContaining(reason) })
  const stream = { stream: true }
  test.each<[string, string, Readonly<Record<string, unknown>>, object]>([
    ['never ends its reply', '!endless', {}, { kind: 'output-limit' }],
    ['never ends its stream', '!endless', stream, { kind: 'output-limit' }],
    ['answers with HTML', '!html', {}, trapped('another content type')],
    ['streams without being asked', '!cut', {}, trapped('another content type')],
    ['does not stream when asked', '!no-usage', stream, trapped('another content type')],
    ['compresses', '!compressed', {}, trapped('another content type')],
    ['sends half a document', '!not-json', {}, trapped('not JSON')],
    ['sends a list', '!list', {}, trapped('not JSON')],
    ['sends huge headers', '!headers', {}, trapped('proper HTTP')],
    ['does not speak HTTP', '!raw', {}, trapped('proper HTTP')],
    ['reports no use', '!no-usage', {}, trapped('reports no use')],
    ['reports less than nothing', '!usage {"prompt_tokens":-1,"completion_tokens":1}', {}, trapped('reports no use')],
    ['reports a fraction', '!usage {"prompt_tokens":1,"completion_tokens":0.5}', {}, trapped('reports no use')],
    ['reports a text', '!usage {"prompt_tokens":"1","completion_tokens":1}', {}, trapped('reports no use')],
    ['reports too long a prompt', '!usage {"prompt_tokens":1001,"completion_tokens":1}', {}, trapped('reports no use')],
    ['reports too many tokens', '!usage {"prompt_tokens":1,"completion_tokens":65}', {}, trapped('reports no use')],
    ['ends its stream without saying so', '!cut', stream, trapped('before the reply was whole')],
    ['says it is done before it is', '!unfinished', stream, trapped('before the reply was whole')],
    ['fails in its stream', '!failed', stream, trapped('reported a failure')],
    ['makes choices nobody asked for', '!index', stream, trapped('not one of its protocol')],
    ['sends an event without end', '!one-event', stream, { kind: 'output-limit' }],
    ['sends an event that is no text', '!not-text', stream, trapped('not one of its protocol')],
    ['refuses', '!status 400', {}, trapped('refused the request with 400')],
  ])('%s', async (_name, content, fields, expected) => {
    const executor = start([parrot])
    const { outcome, outputs, units } = await ask(executor, parrot, content, { fields })
    expect(outcome).toEqual(expected)
    expect(outputs).toEqual([])
    expect(units).toBeUndefined()
    expect((await ask(executor, parrot, 'well again')).text).toBe('well again')
  })

  test('refuses says why in the log of the job', async () => {
    let log = ''
    await ask(start([parrot]), parrot, '!status 400', {
      onLog: (_stream, bytes) => {
        log += Buffer.from(bytes).toString()
      },
    })
    expect(log).toContain('too long a prompt')
  })

  test.each(['!drip', '!hang'])('is slow is given up in time: %s', async (content) => {
    const executor = start([parrot])
    await ask(executor, parrot, 'warm')
    const limits = { ...parrot.manifest.limits, timeoutSeconds: 0.3 }
    const { outcome, startedAt, finishedAt } = await ask(executor, parrot, content, { task: { limits } })
    expect(outcome).toEqual({ kind: 'timed-out' })
    expect(finishedAt - startedAt).toBeLessThan(3000)
  })

  test('dies before it answered is asked once more, in a new process', async () => {
    const executor = start([parrot])
    const { text: first } = await ask(executor, parrot, '!pid')
    const { text: second, outcome } = await ask(executor, parrot, `!crash-once ${join(folder, 'crashed')}`)
    expect(outcome.kind).toBe('exited')
    expect(second).toMatch(/^\d+$/)
    expect(second).not.toBe(first)
  })

  test('dies midway fails the job, and is started again for the next', async () => {
    const executor = start([parrot])
    const { outcome } = await ask(executor, parrot, '!crash-midway', { fields: stream })
    expect(outcome).toEqual(trapped('ended before its reply did'))
    expect((await ask(executor, parrot, 'back')).text).toBe('back')
  })

  test('dies of every request is not fed with one for ever', async () => {
    const executor = start([parrot])
    const { outcome } = await ask(executor, parrot, '!crash')
    expect(outcome).toEqual(trapped('ended before its reply did'))
  })

  test('is sick is replaced', async () => {
    const executor = start([parrot], { healthMilliseconds: 20 })
    const { text: first } = await ask(executor, parrot, '!pid')
    await ask(executor, parrot, '!sick')
    await expect.poll(() => executor.list().servers, { timeout: 5000 }).toEqual([])
    expect((await ask(executor, parrot, '!pid')).text).not.toBe(first)
  })
})

describe('a server that does not come up', () => {
  test.each([
    ['ends', { EXIT_AT_START: 'true', NEVER_READY: 'true' }, 'it ended before it was ready', 'no frogs here'],
    ['never listens', { NEVER_READY: 'true' }, 'it ended before it was ready', ''],
    ['is slow', { START_MILLISECONDS: '60000' }, 'it was not ready within 1 seconds', ''],
  ])('%s: the job is given up with the reason', async (name, env, reason, words) => {
    const module = serverManifest({ name: name.replace(' ', '-'), env, server: { startSeconds: 1 } })
    const error = await ask(start([module]), module, 'x').catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'EXECUTOR_UNAVAILABLE', retryable: true })
    expect(String((error as { details: readonly string[] }).details)).toContain(reason)
    expect(String((error as { details: readonly string[] }).details)).toContain(words)
  })

  test('is not run for a module that nobody trusts', async () => {
    const executor = start([])
    expect(await executor.probe()).toMatchObject({ available: false })
    await expect(ask(executor, parrot, 'x')).rejects.toMatchObject({ code: 'EXECUTOR_UNAVAILABLE' })
  })
})

describe('one server for many', () => {
  test('never gets more requests at a time than it takes, in the order they came', async () => {
    const executor = start([parrot])
    const order: number[] = []
    await Promise.all(
      Array.from({ length: 6 }, async (_, index) => {
        await sleep(index * 5)
        await ask(executor, parrot, '!wait 60')
        order.push(index)
      }),
    )
    expect((await ask(executor, parrot, '!most-open')).text).toBe('2')
    expect(order.map((index) => Math.floor(index / 2))).toEqual([0, 0, 1, 1, 2, 2])
  })

  test('and a second where two are allowed, the freer one first', async () => {
    const executor = start([parrot], { maxReplicas: 2 })
    const replies = await Promise.all(Array.from({ length: 4 }, () => ask(executor, parrot, '!wait 300')))
    expect(replies.every(({ outcome }) => outcome.kind === 'exited')).toBe(true)
    await expect.poll(() => executor.list().servers.map(({ state }) => state)).toEqual(['ready', 'ready'])
    const pids = await Promise.all(
      Array.from({ length: 2 }, () => ask(executor, parrot, '!pid').then(({ text }) => text)),
    )
    expect(new Set(pids).size).toBe(2)
  })

  test('is stopped when it is idle for long', async () => {
    const brief = serverManifest({ name: 'brief', server: { idleSeconds: 0 } })
    const executor = start([brief])
    const { text } = await ask(executor, brief, '!pid')
    await expect.poll(() => executor.list().servers).toEqual([])
    expect(() => process.kill(Number(text), 0)).toThrow('ESRCH')
  })

  test('makes room for another module when memory is short, and waits while it is busy', async () => {
    const other = serverManifest({ name: 'other' })
    const executor = start([parrot, other], { maxMemoryBytes: parrot.manifest.limits.memoryBytes })
    const busy = ask(executor, parrot, '!wait 300')
    await sleep(150)
    const waited = ask(executor, other, 'second')
    expect((await busy).text).toBe('waited')
    expect((await waited).text).toBe('second')
    expect(executor.list().servers.map(({ moduleVersion }) => moduleVersion)).toEqual([other.moduleVersion])
  })

  test('that can never fit is refused', async () => {
    const executor = start([parrot], { maxMemoryBytes: 1 })
    await expect(ask(executor, parrot, 'x')).rejects.toMatchObject({ code: 'EXECUTOR_UNAVAILABLE' })
  })

  test('is there before the first job where it is resident', async () => {
    const executor = start([parrot], { isResident: true })
    const { manifest, moduleVersion } = parrot
    await executor.prepare(manifest.runtime, undefined, { limits: manifest.limits, moduleVersion })
    await expect.poll(() => executor.list().servers.map(({ state }) => state)).toEqual(['ready'])
  })
})

describe('an end from outside', () => {
  test('ends no job of others, however busy the server is with them', async () => {
    const executor = start([parrot])
    const { text: pid } = await ask(executor, parrot, '!pid')
    const other = ask(executor, parrot, '!wait-unwell 300')
    await sleep(50)
    const stop = new AbortController()
    const asked = ask(executor, parrot, '!hang', { signal: stop.signal })
    await sleep(50)
    stop.abort()
    expect((await asked).outcome).toEqual({ kind: 'cancelled' })
    expect(await other).toMatchObject({ outcome: { kind: 'exited', code: 0 }, text: 'waited' })
    expect((await ask(executor, parrot, '!pid')).text).toBe(pid)
  })

  test('closes the request at the server at once', async () => {
    const executor = start([parrot])
    await ask(executor, parrot, 'warm')
    const file = join(folder, 'closed')
    const stop = new AbortController()
    const asked = ask(executor, parrot, `!hang-until-closed ${file}`, { signal: stop.signal })
    await sleep(100)
    stop.abort()
    expect((await asked).outcome).toEqual({ kind: 'cancelled' })
    await expect
      .poll(() =>
        access(file).then(
          () => true,
          () => false,
        ),
      )
      .toBe(true)
    expect((await ask(executor, parrot, 'still here')).text).toBe('still here')
  })

  test('takes a job out of the line', async () => {
    const executor = start([parrot])
    const busy = [ask(executor, parrot, '!wait 200'), ask(executor, parrot, '!wait 200')]
    await sleep(50)
    const deadline = Date.now() / 1000 + 0.05
    expect((await ask(executor, parrot, 'late', { task: { deadline } })).outcome).toEqual({ kind: 'timed-out' })
    await Promise.all(busy)
    expect(executor.list().waiting).toBe(0)
  })

  test('close stops jobs and servers, and leaves nothing', async () => {
    const executor = start([parrot])
    const { text } = await ask(executor, parrot, '!pid')
    const asked = ask(executor, parrot, '!hang')
    await sleep(50)
    await executor.close()
    expect((await asked).outcome).toEqual({ kind: 'cancelled' })
    expect(() => process.kill(Number(text), 0)).toThrow('ESRCH')
    expect(await readdir(join(folder, `s${open.length}`, 'servers')).catch(() => [])).toEqual([])
    await expect(ask(executor, parrot, 'x')).rejects.toMatchObject({ code: 'EXECUTOR_UNAVAILABLE' })
  })
})

test('a trusted process of a killed provider is ended by the next, and not by one beside it', async () => {
  const stateDirectory = join(folder, 'k')
  const script = new URL('killed-server-provider.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--conditions=source', script, stateDirectory, 'killed', '', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const [record = ''] = await readdir(join(stateDirectory, 'server-processes'))
  const pid = Number(record.split('-')[0])
  const beside = start([parrot], { stateDirectory })
  await beside.sweep()
  expect(process.kill(pid, 0)).toBe(true)
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('exit', resolve))
  await beside.sweep()
  // Whoever inherits the dead may be slow to bury them.
  const state = () =>
    readFile(`/proc/${pid}/stat`, 'utf8').then(
      (stat) => stat.split(') ')[1]?.[0],
      () => 'Z',
    )
  await expect.poll(state).toBe('Z')
  expect(await readdir(join(stateDirectory, 'servers'))).toEqual([])
})

test('a server holds its GPUs while it runs, and leaves when a job waits for them', async () => {
  const gpu: Gpu = { vendor: 'nvidia', uuid: 'GPU-1', name: 'H200', memoryBytes: 140 * 1024 ** 3, driver: '1' }
  const vram = new VramLedger([gpu])
  const module = serverManifest({ name: 'gpu', limits: { gpu: { count: 1, memoryBytes: 1024 ** 3 } } })
  const executor = start([module])
  executor.useGpus(vram)
  expect((await ask(executor, module, '!environment')).text).toContain('CUDA_VISIBLE_DEVICES')
  expect(vram.listRooms({ isExclusive: true })[0]).toMatchObject({
    freeBytes: 0,
    residentModels: [module.moduleVersion],
  })
  const need = { count: 1, memoryBytes: 1024 ** 3 }
  const waiting = vram.acquire({ program: 'job', need, isExclusive: true }, new AbortController().signal)
  const grant = await waiting
  expect(executor.list().servers).toEqual([])
  const asked = ask(executor, module, 'after the job')
  await sleep(50)
  vram.release(grant?.id ?? 0)
  expect((await asked).text).toBe('after the job')
})

test('a trusted process sees nothing of the environment of the provider', async () => {
  process.env.LILYPAD_SERVER_CANARY = 'must not be seen'
  const { text } = await ask(start([parrot]), parrot, '!environment')
  expect(text?.split(' ')).toEqual([
    'GLIBC_TUNABLES',
    'HOME',
    'LC_ALL',
    'LILYPAD_SOCKET',
    'OMP_NUM_THREADS',
    'OMP_THREAD_LIMIT',
    'PATH',
    'SOURCE_DATE_EPOCH',
    'TMPDIR',
    'TZ',
  ])
})
