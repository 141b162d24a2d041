import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContentStore } from '@lilypad-agents/blobs'
import {
  LilypadError,
  type ModuleLimits,
  type ModuleListing,
  type ModuleManifest,
  moduleManifestDigest,
  moduleVersionId,
  sha256,
  zeroAddress,
} from '@lilypad-agents/protocol'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testManifest } from '../../test/test-manifest.ts'
import { MemoryChain } from '../chain/memory-chain.ts'
import type { SolverFiles } from '../connection/solver-files.ts'
import { NoopExecutor } from '../executors/noop/noop-executor.ts'
import type { Gpu } from '../gpu/gpu.ts'
import { Journal } from '../journal/journal.ts'
import { installModule, type InstallOptions } from './install-module.ts'
import { ModuleShelf } from './module-shelf.ts'

/** Takes the part of the WASM executor as far as an installation can see it. */
class WasmLike extends NoopExecutor {
  // The name is what decides which executor runs a module, and here it has to be that of the real one.
  override readonly name = 'wasm' as unknown as 'noop'
}

let folder: string
let chain: MemoryChain
let artifacts: ContentStore
const program = Buffer.from('\0asm')
let served = program
const signal = new AbortController().signal
const manifest: ModuleManifest = {
  ...testManifest(),
  runtime: {
    kind: 'wasm',
    program: { sha256: sha256(program), bytes: 4, mediaType: 'application/wasm' },
    args: [],
    stdin: 'none',
    env: {},
  },
}
const listingOf = (module: ModuleManifest): ModuleListing => {
  const manifestDigest = moduleManifestDigest(module)
  const moduleVersion = moduleVersionId(module.name, manifestDigest)
  return {
    moduleVersion,
    name: module.name,
    author: zeroAddress,
    manifestDigest,
    feeBips: 0,
    deprecated: false,
    publishedAtBlock: 1,
    manifest: module,
    offers: [],
  }
}
const listing = listingOf(manifest)
const files: SolverFiles = {
  fetchArtifact: (file, into) =>
    into.write(file, (offset) => ({
      offset,
      chunks: (async function* () {
        yield served.subarray(offset)
      })(),
    })),
  fetchInput: () => Promise.reject(new TypeError('no inputs here')),
  putOutput: () => Promise.reject(new TypeError('no outputs here')),
}
const options = (change: Partial<InstallOptions> = {}): InstallOptions => ({
  executors: [new WasmLike()],
  artifacts,
  files,
  chain,
  machine: { memoryBytes: 2 ** 30, cpus: 2 },
  ...change,
})

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-install-'))
  artifacts = await ContentStore.open(join(folder, 'artifacts'), { quotaBytes: 1_000_000 })
  chain = new MemoryChain()
  chain.versions.set(listing.moduleVersion, { manifestDigest: listing.manifestDigest, isDeprecated: false })
  served = program
})
afterEach(async () => rm(folder, { recursive: true, force: true }))

test('installs a published module with its program', async () => {
  const installed = await installModule(options(), listing, signal)
  expect(installed).toMatchObject({ moduleVersion: listing.moduleVersion, manifest, executor: { name: 'wasm' } })
  expect(await readFile(installed.programPath ?? '')).toEqual(program)
})

describe('does not install', () => {
  test.each<[string, () => Promise<unknown>, string]>([
    [
      'a manifest that is not behind the version id',
      () => installModule(options(), { ...listing, manifest: { ...manifest, title: 'other' } }, signal),
      'DIGEST_MISMATCH',
    ],
    [
      'a version that the registry does not have',
      () => installModule(options({ chain: new MemoryChain() }), listing, signal),
      'MODULE_UNKNOWN',
    ],
    ['a program that is another one', () => installModule(options(), listing, signal), 'DIGEST_MISMATCH'],
    [
      'a module without an executor',
      () => installModule(options({ executors: [] }), listing, signal),
      'EXECUTOR_UNAVAILABLE',
    ],
    [
      'a module that needs more memory than there is',
      () => installModule(options({ machine: { memoryBytes: 1, cpus: 2 } }), listing, signal),
      'EXECUTOR_UNAVAILABLE',
    ],
    [
      'a module that needs more CPUs than there are',
      () => installModule(options({ machine: { memoryBytes: 2 ** 30, cpus: 0 } }), listing, signal),
      'EXECUTOR_UNAVAILABLE',
    ],
  ])('%s', async (name, install, code) => {
    if (name.startsWith('a program')) served = Buffer.from('evil')
    await expect(install()).rejects.toMatchObject({ code })
  })
})

describe('of a container module', () => {
  const image = { digest: `sha256:${'1'.repeat(64)}`, reference: 'pond' }
  const container = (change: { readonly env?: Record<string, string>; readonly gpu?: ModuleLimits['gpu'] }) => {
    const { env = {}, gpu } = change
    return listingOf({
      ...manifest,
      runtime: { kind: 'container', image, args: [], stdin: 'none', env },
      limits: { ...manifest.limits, ...(gpu === undefined ? {} : { gpu }) },
    })
  }
  const gpu = { count: 1, memoryBytes: 2 ** 30 }
  const card: Gpu = { uuid: 'GPU-1', vendor: 'nvidia', name: 'L4', memoryBytes: 24 * 2 ** 30, driver: '1' }
  const install = (of: ModuleListing, gpus?: readonly Gpu[]) => {
    chain.versions.set(of.moduleVersion, { manifestDigest: of.manifestDigest, isDeprecated: false })
    const machine = { memoryBytes: 2 ** 30, cpus: 2, ...(gpus === undefined ? {} : { gpus }) }
    return installModule(options({ executors: [new NoopExecutor()], machine }), of, signal)
  }

  test('installs what needs a GPU only where there is one', async () => {
    await expect(install(container({ gpu }))).rejects.toThrow('the machine has 0 of its 0')
    await expect(install(container({ gpu }), [card])).resolves.toMatchObject({ executor: { name: 'noop' } })
  })

  test('a GPU job may not choose devices by its environment', async () => {
    const env = { CUDA_VISIBLE_DEVICES: 'all' }
    await expect(install(container({ env, gpu }), [card])).rejects.toThrow('sets CUDA_VISIBLE_DEVICES')
    await expect(install(container({ env }))).resolves.toBeDefined()
  })
})

describe('the shelf', () => {
  let journal: Journal
  let listed: ModuleListing[]
  const client = {
    listModules: async () => ({ modules: listed, nextCursor: null }),
    getModule: async (module: string) => {
      const found = listed.find(({ moduleVersion }) => moduleVersion === module)
      if (!found) throw new LilypadError('MODULE_UNKNOWN', 'There is no such module.')
      return found
    },
  }
  const open = (policy: 'all' | readonly string[] = 'all') =>
    new ModuleShelf({ ...options(), policy, journal, client, log: pino({ level: 'silent' }) })
  beforeEach(() => {
    journal = Journal.open(folder)
    listed = [listing]
  })
  afterEach(() => journal.close())

  test('offers what the solver lists, until it is withdrawn', async () => {
    const shelf = open()
    expect(await shelf.refresh(signal)).toBe(true)
    expect(await shelf.refresh(signal)).toBe(false)
    expect(shelf.listOffered().map(({ moduleVersion }) => moduleVersion)).toEqual([listing.moduleVersion])
    listed = [{ ...listing, deprecated: true }]
    expect(await shelf.refresh(signal)).toBe(true)
    expect(shelf.listOffered()).toEqual([])
    expect(shelf.find(listing.moduleVersion)).toBeDefined()
  })

  test.each<[string, readonly string[], number]>([
    ['by name', ['pond'], 1],
    ['by version', [listing.moduleVersion], 1],
    ['another', ['lake', sha256('lake')], 0],
  ])('offers only what the operator names: %s', async (_name, policy, count) => {
    const shelf = open(policy)
    await shelf.refresh(signal)
    expect(shelf.listOffered()).toHaveLength(count)
  })

  test('has what it had before a restart, without chain and solver', async () => {
    await open().refresh(signal)
    chain.isDown = true
    listed = []
    const shelf = open()
    expect(shelf.find(listing.moduleVersion)).toBeUndefined()
    expect(await shelf.getForRun(listing.moduleVersion, signal)).toMatchObject({ manifest })
    await expect(shelf.getForRun(sha256('lake'), signal)).rejects.toMatchObject({ code: 'MODULE_UNKNOWN' })
  })

  test('one module that cannot be installed does not keep the others out', async () => {
    const lake = listingOf({ ...manifest, name: 'lake' })
    listed = [lake, listing]
    const shelf = open()
    await shelf.refresh(signal)
    expect(shelf.listOffered().map((module) => module.manifest.name)).toEqual(['pond'])
  })
})
