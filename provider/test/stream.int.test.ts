import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type Bytes32, type ModuleManifest, sha256 } from '@lilypad-agents/protocol'
import type { StreamedPiece } from '@lilypad-agents/sdk'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { buildWasmPrograms, type WasmProgramName } from '../fixtures/wasm-programs.ts'
import type { Executor } from '../src/executors/executor.ts'
import { type CannedRun, NoopExecutor } from '../src/executors/noop/noop-executor.ts'
import { createLogger } from '../src/log/logger.ts'
import { createExecutors } from '../src/run/create-executors.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { cannedOutputs } from './canned-run.ts'
import { testManifest } from './test-manifest.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

const program = fileURLToPath(new URL('./provider-process.ts', import.meta.url))
const MiB = 1024 ** 2

let market: TestMarket
let provider: Provider | undefined
let child: ChildProcess | undefined
let nodes = 0

beforeAll(async () => {
  market = await startTestMarket()
  await market.publish(testManifest())
  const large = testManifest({ name: 'large', timeoutSeconds: 100 })
  await market.publish({ ...large, limits: { ...large.limits, logBytes: 24 * MiB, outputBytes: MiB } })
})
afterEach(async () => {
  await provider?.close()
  provider = undefined
  if (child?.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
})
afterAll(async () => market?.close())

async function start(executor: Executor | CannedRun): Promise<void> {
  const actor = await market.createActor()
  const { stateDir } = market.createNode(actor, `stream-${nodes++}`)
  provider = await startProvider({
    network: market.network,
    key: actor.key,
    stateDir,
    executors: 'run' in executor ? [executor] : [new NoopExecutor(executor)],
    slots: 2,
    settlement: { maxAgeSeconds: 0 },
    refreshSeconds: 0.3,
    log: createLogger(process.env.TEST_LOG ?? 'silent'),
  })
}

async function readAll(orderHash: Bytes32, onPiece: (piece: StreamedPiece) => unknown = () => {}) {
  const pieces: StreamedPiece[] = []
  for await (const piece of market.lilypad.stream(orderHash)) {
    pieces.push(piece)
    await onPiece(piece)
  }
  return pieces
}
const textOf = (pieces: readonly StreamedPiece[], channel = 'stdout') =>
  pieces
    .map((piece) => (piece.channel === channel && piece.channel !== 'file' ? Buffer.from(piece.bytes).toString() : ''))
    .join('')
const ticks = (count: number) => Array.from({ length: count }, (_, index) => `tick ${index}\n`).join('')
const stateOf = async (orderHash: Bytes32) => (await market.lilypad.getJob(orderHash)).state

/** Orders with one provider: that of another test may not have been missed by the solver yet. */
async function orderFrom(address: `0x${string}`): Promise<Bytes32> {
  const { quote } = await eventually(() =>
    market.lilypad.quote({ module: 'pond', inputs: { text: 'frog' }, provider: address }),
  )
  return (await eventually(() => market.lilypad.order(quote.quoteId))).orderHash
}

async function expectWhole(orderHash: Bytes32): Promise<void> {
  const { verification } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(verification.checks.map(({ name }) => name)).toContain('stream')
}

describe('what a running job says', () => {
  test('reaches its requester while it runs, and is what the receipt commits to', async () => {
    await start({
      outputs: cannedOutputs,
      stdout: 'start\n',
      stderr: 'warning\n',
      response: ['one', ' two', ' three'],
      ticks: { count: 20, milliseconds: 30, text: (index) => `tick ${index}\n` },
    })
    const orderHash = await market.order('pond')
    let stateAtFirst: string | undefined
    const pieces = await readAll(orderHash, async () => {
      stateAtFirst ??= await stateOf(orderHash)
    })
    expect(stateAtFirst).toBe('running')
    expect(textOf(pieces)).toBe(`start\n${ticks(20)}`)
    expect(textOf(pieces, 'stderr')).toBe('warning\n')
    expect(
      pieces.flatMap((piece) => (piece.channel === 'response' ? [Buffer.from(piece.bytes).toString()] : [])),
    ).toEqual(['one', ' two', ' three'])
    await expectWhole(orderHash)
    const { delivery } = await market.lilypad.getStoredJob(orderHash)
    expect(delivery?.manifest.predicate.stream).toMatchObject({ attempt: 1, chunks: pieces.length, truncated: false })
    // Read again from the relay, after the end.
    expect(textOf(await readAll(orderHash))).toBe(textOf(pieces))
  })

  test('is checked before a job is paid, also when its reader has not come to the end', async () => {
    await start({ outputs: cannedOutputs, ticks: { count: 10, milliseconds: 10, text: (index) => `tick ${index}\n` } })
    const orderHash = await market.order('pond')
    for await (const piece of market.lilypad.stream(orderHash)) {
      expect(piece.index).toBe(0)
      break
    }
    await expectWhole(orderHash)
  })

  test('ends with a failed job, too', async () => {
    await start({ exitCode: 3, stdout: 'oh no\n' })
    const orderHash = await market.order('pond')
    expect(textOf(await readAll(orderHash))).toBe('oh no\n')
    await expect(market.lilypad.complete(orderHash)).rejects.toMatchObject({ code: 'JOB_FAILED' })
  })

  test('cannot be had for nothing by cancelling a reply that was read', async () => {
    await start({ outputs: cannedOutputs, response: ['all', ' of it'], milliseconds: 1000 })
    const orderHash = await market.order('pond')
    for await (const { channel, index } of market.lilypad.stream(orderHash)) {
      if (channel !== 'response' || index === 0) continue
      await market.lilypad.cancel(orderHash)
      break
    }
    const { job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
    expect(job.price).toBeGreaterThan(0n)
    expect(job.acknowledgement).not.toBeNull()
  })

  test('is held back to its end when the order does not pay for the longest reply', async () => {
    await start({ outputs: cannedOutputs, stdout: 'log', response: ['all', ' of it'] })
    const { quote } = await eventually(() =>
      market.lilypad.quote({ module: 'pond', inputs: { text: 'frog' }, maxPrice: 1100n }),
    )
    const { orderHash } = await market.lilypad.order(quote.quoteId)
    const pieces = await readAll(orderHash)
    expect([textOf(pieces), textOf(pieces, 'response')]).toEqual(['log', ''])
    await expectWhole(orderHash)
  })

  test('is there within milliseconds', async () => {
    let saidAt: number[] = []
    await start({
      outputs: cannedOutputs,
      ticks: {
        count: 60,
        milliseconds: 30,
        text: (index) => {
          saidAt[index] = performance.now()
          return `tick ${index}\n`
        },
      },
    })
    const delays: number[] = []
    for (let job = 0; job < 2; job++) {
      saidAt = []
      const orderHash = await market.order('pond')
      await readAll(orderHash, (piece) => {
        if (piece.channel !== 'stdout') return
        const index = Number(Buffer.from(piece.bytes).toString().split('\n').at(-2)?.split(' ')[1])
        delays.push(performance.now() - (saidAt[index] ?? 0))
      })
    }
    delays.sort((a, b) => a - b)
    const at = (share: number) => (delays[Math.floor((delays.length - 1) * share)] ?? 0).toFixed(2)
    console.error(
      `stream: executor to requester over the relay, n=${delays.length}: median ${at(0.5)} ms, p90 ${at(0.9)} ms, min ${at(0)} ms, max ${at(1)} ms`,
    )
    expect(delays.length).toBeGreaterThan(60)
    // Far above what a quiet machine shows: a stream that waits for a poll or a heartbeat would be over it.
    expect(Number(at(0.5))).toBeLessThan(100)
  })
})

describe('files', () => {
  let programs: Awaited<ReturnType<typeof buildWasmPrograms>>
  const publish = async (name: string, of: WasmProgramName) => {
    const { runtime, programPath } = programs[of]
    const outputs = { files: [{ path: 'part.txt', mediaType: 'text/plain', title: 'Part' }], result: null }
    const manifest: ModuleManifest = { ...testManifest({ name }), runtime, outputs }
    await market.publish(manifest)
    if (runtime.kind === 'wasm')
      await market.lilypad.solver.uploadArtifact(runtime.program.sha256, await readFile(programPath))
  }
  beforeAll(async () => {
    programs = await buildWasmPrograms(market.folder)
    await publish('announce', 'announce')
    await publish('change', 'announceAndChange')
  })
  const startWasm = async () => {
    const actor = await market.createActor()
    const { stateDir } = market.createNode(actor, `wasm-${nodes++}`)
    provider = await startProvider({
      network: market.network,
      key: actor.key,
      stateDir,
      executors: createExecutors(['wasm'], { stateDir }),
      refreshSeconds: 0.3,
      log: createLogger(process.env.TEST_LOG ?? 'silent'),
    })
  }

  test('that a program has finished can be read while it goes on', async () => {
    await startWasm()
    const orderHash = await market.order('announce')
    let seen: { state: string; content: string } | undefined
    const pieces = await readAll(orderHash, async (piece) => {
      if (piece.channel !== 'file') return
      seen = { content: Buffer.from(await piece.read()).toString(), state: await stateOf(orderHash) }
    })
    expect(seen).toEqual({ content: 'frogs', state: 'running' })
    expect(pieces.flatMap((piece) => (piece.channel === 'file' ? [piece.file] : []))).toMatchObject([
      { path: 'part.txt', bytes: 5, mediaType: 'text/plain' },
    ])
    expect(textOf(pieces)).toBe('frogs')
    await expectWhole(orderHash)
  })

  test('that change after they were announced fail the job, and nobody pays it', async () => {
    await startWasm()
    const orderHash = await market.order('change')
    const pieces = await readAll(orderHash)
    expect(pieces.some(({ channel }) => channel === 'file')).toBe(true)
    await expect(market.lilypad.complete(orderHash)).rejects.toMatchObject({
      code: 'JOB_FAILED',
      charged: 'none',
      message: expect.stringContaining('changed after the program had said that it was finished'),
    })
    const { acknowledgement, delivery } = await market.lilypad.getStoredJob(orderHash)
    expect(acknowledgement).toBeNull()
    expect(delivery?.receipt).toMatchObject({ status: 3, price: 0n })
  })

  test('that a program names by the dozen go to the relay a few at a time', async () => {
    const many = testManifest({ name: 'many' })
    await market.publish({ ...many, limits: { ...many.limits, outputFiles: 300 } })
    const names = Array.from({ length: 60 }, (_, index) => `file-${index}`)
    const outputs = { ...cannedOutputs, ...Object.fromEntries(names.map((name) => [name, name])) }
    const uploads = { open: 0, most: 0 }
    const realFetch = globalThis.fetch
    const slowly = vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
      if (init?.method !== 'PUT') return realFetch(input, init)
      uploads.open += 1
      uploads.most = Math.max(uploads.most, uploads.open)
      await sleep(30)
      return realFetch(input, init).finally(() => {
        uploads.open -= 1
      })
    })
    class Announcer extends NoopExecutor {
      override async run(...[task, options = {}]: Parameters<NoopExecutor['run']>) {
        const source = join(market.folder, 'announced')
        for (const path of names) {
          await writeFile(source, path)
          await options.onFile?.({ path, bytes: path.length, sha256: sha256(path), source })
        }
        return super.run(task, options)
      }
    }
    try {
      await start(new Announcer({ outputs }))
      const orderHash = await market.order('many')
      const pieces = await readAll(orderHash)
      expect(pieces.filter(({ channel }) => channel === 'file')).toHaveLength(names.length)
      expect(uploads.most).toBeLessThanOrEqual(4)
      await expectWhole(orderHash)
    } finally {
      slowly.mockRestore()
    }
  })
})

describe('through', () => {
  test('restarts of the relay, each piece comes once', async () => {
    await start({ outputs: cannedOutputs, ticks: { count: 100, milliseconds: 30, text: (index) => `tick ${index}\n` } })
    const orderHash = await market.order('pond')
    let restarts = 0
    let restarting: Promise<void> = Promise.resolve()
    const pieces = await readAll(orderHash, (piece) => {
      if (piece.index >= (restarts + 1) * 10 && restarts < 2) {
        restarts += 1
        restarting = restarting.then(() => market.restartSolver(200))
      }
    })
    await restarting
    expect(restarts).toBe(2)
    expect(textOf(pieces)).toBe(ticks(100))
    expect(new Set(pieces.map(({ attempt }) => attempt))).toEqual(new Set([1]))
    await expectWhole(orderHash)
  })

  test('a kill -9 of the provider in the middle of it: a new run begins, its reader sees that, and the job is paid', async () => {
    const actor = await market.createActor()
    const { environment } = market.createNode(actor, `killed-${nodes++}`)
    const spawnProvider = () => {
      child = spawn(process.execPath, ['--conditions=source', program], {
        env: {
          PATH: process.env.PATH ?? '',
          NODE_ENV: 'test',
          LILYPAD_LOG_LEVEL: process.env.TEST_LOG ?? 'silent',
          TEST_TICKS: '40',
          ...environment,
        },
        stdio: ['ignore', 'inherit', 'inherit'],
      })
      return child
    }
    const dying = spawnProvider()
    const orderHash = await orderFrom(actor.signer.address)
    let isKilled = false
    const pieces = await readAll(orderHash, async (piece) => {
      if (isKilled || piece.index < 5) return
      isKilled = true
      const died = once(dying, 'exit')
      dying.kill('SIGKILL')
      await died
      spawnProvider()
    })
    const runs = [1, 2].map((attempt) => textOf(pieces.filter((piece) => piece.attempt === attempt)))
    expect(runs[1]).toBe(`working\n${ticks(40)}`)
    expect(runs[1]?.startsWith(runs[0] ?? '-')).toBe(true)
    expect(runs[0]?.length).toBeLessThan(runs[1]?.length ?? 0)
    await expectWhole(orderHash)
    expect((await market.lilypad.getStoredJob(orderHash)).delivery?.manifest.predicate.stream?.attempt).toBe(2)
  })

  test('a kill -9 between the end of the run and its delivery: the stream is not sent anew and nothing is missing', async () => {
    const actor = await market.createActor()
    const { environment } = market.createNode(actor, `killed-${nodes++}`)
    const spawnProvider = (extra: Record<string, string>) => {
      child = spawn(process.execPath, ['--conditions=source', program], {
        env: {
          PATH: process.env.PATH ?? '',
          NODE_ENV: 'test',
          LILYPAD_LOG_LEVEL: 'silent',
          TEST_TICKS: '10',
          ...environment,
          ...extra,
        },
        stdio: ['ignore', 'inherit', 'inherit'],
      })
      return child
    }
    const died = once(spawnProvider({ LILYPAD_FAULT: 'receipt-signed' }), 'exit')
    const orderHash = await orderFrom(actor.signer.address)
    const reading = readAll(orderHash)
    await died
    spawnProvider({})
    const pieces = await reading
    expect(textOf(pieces)).toBe(`working\n${ticks(10)}`)
    expect(pieces.every(({ attempt }) => attempt === 1)).toBe(true)
    await expectWhole(orderHash)
  })
})

test('a reader who does not read holds up nobody and fills no memory', async () => {
  const block = Buffer.alloc(256 * 1024, 'frog')
  await start({ outputs: cannedOutputs, ticks: { count: 80, milliseconds: 0, text: () => block.toString() } })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const used = () => {
    collect()
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  }
  const orderHash = await market.order('large')
  const reader = market.lilypad.stream(orderHash)[Symbol.asyncIterator]()
  const first = await reader.next()
  const before = used()
  let most = 0
  // Collecting takes its time on a busy machine, so a sample waits after the one before.
  let sampling: NodeJS.Timeout | undefined
  const sample = () => {
    most = Math.max(most, used() - before)
    sampling = setTimeout(sample, 1000)
  }
  sampling = setTimeout(sample, 200)
  const { state } = await market.lilypad.getJob(orderHash, { waitSeconds: 120 })
  clearTimeout(sampling)
  most = Math.max(most, used() - before)
  expect(state).toBe('delivered')
  console.error(
    `stream: 20 MiB past a reader that stands still: ${(most / MiB).toFixed(1)} MiB of memory in relay, provider and client together`,
  )
  expect(most).toBeLessThan(12 * MiB)
  let bytes = first.value && first.value.channel !== 'file' ? first.value.bytes.length : 0
  for (let next = await reader.next(); !next.done; next = await reader.next())
    if (next.value.channel !== 'file') bytes += next.value.bytes.length
  expect(bytes).toBe(80 * block.length)
  await expectWhole(orderHash)
}, 240_000)
