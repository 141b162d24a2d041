import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { collectOutputs } from './collect-outputs.ts'
import { removeTree } from './remove-tree.ts'

const limits = { outputBytes: 100_000, outputFiles: 20 }
const isRoot = process.getuid?.() === 0
// Every failure can be had again: FUZZ_SEED=<printed seed> runs the same trees.
const { FUZZ_SEED } = process.env
const seed = FUZZ_SEED === undefined ? randomBytes(4).readInt32LE() : Number(FUZZ_SEED)
const secret = `secret-${randomBytes(16).toString('hex')}`
const secretReadAt = new Date('2001-01-01')
const secretWrittenAt = new Date('2002-01-01')

let stock: string
let outside: string
let readsLeaveTraces: boolean
let trees = 0
// Made by one process each, then moved into place.
const pipes: string[] = []
const devices: string[] = []

beforeAll(async () => {
  console.warn(`outputs are fuzzed with FUZZ_SEED=${seed}`)
  stock = await mkdtemp(join(tmpdir(), 'lilypad-fuzz-'))
  outside = join(stock, 'outside')
  await mkdir(join(outside, 'folder'), { recursive: true })
  for (const path of ['secret', 'folder/a', 'folder/b']) await writeFile(join(outside, path), secret)
  await forgetReads()
  await readFile(join(outside, 'secret'))
  readsLeaveTraces = (await lstat(join(outside, 'secret'))).atime.getTime() !== secretReadAt.getTime()
  if (!readsLeaveTraces) console.warn('this file system keeps no times of reading; reads are seen by content only')
  await forgetReads()
  for (let index = 0; index < 500; index++) pipes.push(join(stock, `pipe${index}`))
  execFileSync('mkfifo', pipes)
  for (let index = 0; index < 20; index++) {
    const device = join(stock, `device${index}`)
    try {
      execFileSync('mknod', [device, 'c', '1', '5'], { stdio: 'pipe' })
      devices.push(device)
    } catch {
      break
    }
  }
})
afterAll(() => rm(stock, { recursive: true, force: true }))

// Read before it was written, so that any read moves the time (relatime).
async function forgetReads(): Promise<void> {
  for (const path of ['secret', 'folder/a', 'folder/b'])
    await utimes(join(outside, path), secretReadAt, secretWrittenAt)
}

async function assertOutsideIsUntouched(): Promise<void> {
  expect((await readdir(outside, { recursive: true })).sort()).toEqual(['folder', 'folder/a', 'folder/b', 'secret'])
  for (const path of ['secret', 'folder/a', 'folder/b']) {
    const { atime, mtime, size, nlink } = await lstat(join(outside, path))
    expect([mtime, size, nlink]).toEqual([secretWrittenAt, secret.length, 1])
    if (readsLeaveTraces) expect(atime, `${path} was read`).toEqual(secretReadAt)
  }
}

// ---- trees

const name = fc.constantFrom('a', 'b', 'c', 'grüße.txt', '.hidden', '-rf', 'context', 'x y', '%2e%2e', 'ａ')
const folder = fc.array(name, { maxLength: 4 }).map((names) => names.join('/'))
const content = fc.uint8Array({ maxLength: 400 })
const strangeName = fc.oneof(
  fc.constantFrom('a\nb', '\u001b[2J', 'a\u202eb', '..\\x', 'C:\\x', 'a\u007f', 'a\rb', 'con', 'aux.txt', 'x.'),
  fc.constant('n'.repeat(255)).map((text) => `${text.slice(0, 250)}\n`),
)
const strangeBytes = fc.constantFrom(
  [0xff],
  [0x61, 0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0xe2, 0x82],
  [0xf5, 0x80, 0x80, 0x80],
)
const target = fc.constantFrom('secret', 'folder', 'folder/a', 'nowhere')

type Entry =
  | { readonly kind: 'file' | 'setuid' | 'archive'; readonly path: string; readonly data: Uint8Array }
  | { readonly kind: 'folder' | 'pipe' | 'socket' | 'device' | 'loop' | 'unreadable'; readonly path: string }
  | {
      readonly kind: 'link' | 'relative-link' | 'link-inside' | 'hard-link-outside'
      readonly path: string
      readonly to: string
    }
  | { readonly kind: 'hard-link'; readonly path: string; readonly to: string }
  | { readonly kind: 'sparse'; readonly path: string; readonly bytes: number }
  | { readonly kind: 'strange-name'; readonly path: string; readonly name: Buffer; readonly isFolder: boolean }
  | { readonly kind: 'deep'; readonly path: string; readonly depth: number }

const path = fc.tuple(folder, name).map((parts) => parts.filter((part) => part !== '').join('/'))
const honest: fc.Arbitrary<Entry> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('file' as const), path, data: content }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('folder' as const), path }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('setuid' as const), path, data: content }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('archive' as const), path, data: fc.constant(zipSlip()) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('sparse' as const), path, bytes: fc.constantFrom(0, 5000, 99_000) }),
  },
)
const hostile: fc.Arbitrary<Entry> = fc.oneof(
  fc.record({ kind: fc.constantFrom('link' as const, 'relative-link' as const), path, to: target }),
  fc.record({ kind: fc.constantFrom('link-inside' as const, 'hard-link' as const), path, to: path }),
  fc.record({ kind: fc.constant('hard-link-outside' as const), path, to: fc.constant('decoy') }),
  fc.record({
    kind: fc.constantFrom('pipe' as const, 'socket' as const, 'loop' as const, 'unreadable' as const),
    path,
  }),
  fc.record({ kind: fc.constant('device' as const), path }),
  fc.record({ kind: fc.constant('sparse' as const), path, bytes: fc.constantFrom(100_001, 2 ** 40, 2 ** 43) }),
  fc.record({
    kind: fc.constant('strange-name' as const),
    path: folder,
    name: fc.oneof(
      strangeName.map((text) => Buffer.from(text)),
      strangeBytes.map((bytes) => Buffer.from(bytes)),
    ),
    isFolder: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('deep' as const), path, depth: fc.constantFrom(17, 60, 300) }),
)
const tree = fc.oneof(
  fc.array(honest, { maxLength: 24 }),
  fc
    .tuple(fc.array(honest, { maxLength: 8 }), fc.array(hostile, { minLength: 1, maxLength: 4 }))
    .map((parts) => parts.flat()),
  fc.array(fc.oneof(honest, hostile), { maxLength: 24 }),
)

/** A tar archive whose one entry names a file outside. */
function zipSlip(): Uint8Array {
  const header = Buffer.alloc(1536)
  header.write('../../outside/escaped', 0)
  header.write('0000644\x000000000\x000000000\x0000000000004\x0000000000000\x00        0', 100)
  header.write('ustar\x0000', 257)
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
  )
  header.write('evil', 512)
  return header
}

/** What the collector has to make of a tree: built beside it, from what really could be made. */
type Expected = {
  readonly files: Map<string, Uint8Array>
  bytes: number
  isHostile: boolean
  readonly servers: Server[]
}

async function build(source: string, entries: readonly Entry[]): Promise<Expected> {
  const expected: Expected = { files: new Map(), bytes: 0, isHostile: false, servers: [] }
  for (const entry of entries) {
    const full = join(source, entry.path)
    const parent = entry.kind === 'strange-name' ? full : dirname(full)
    // A link that stands in the way would lead this test outside, not the collector.
    if (!(await makeFolders(source, parent))) continue
    if (entry.kind !== 'strange-name' && (await exists(full))) continue
    await make(entry, full, source, expected)
  }
  return expected
}

async function make(entry: Entry, full: string, source: string, expected: Expected): Promise<void> {
  const hostileOnce = () => {
    expected.isHostile = true
  }
  const keep = (data: Uint8Array) => {
    expected.files.set(entry.path, data)
    expected.bytes += data.length
  }
  switch (entry.kind) {
    case 'file':
    case 'archive':
      await writeFile(full, entry.data)
      return keep(entry.data)
    case 'setuid':
      await writeFile(full, entry.data)
      await chmod(full, 0o6777)
      return keep(entry.data)
    case 'folder':
      return void (await mkdir(full))
    case 'unreadable':
      await mkdir(full, { mode: 0 })
      return isRoot ? undefined : hostileOnce()
    case 'sparse': {
      const file = await open(full, 'wx')
      await file.truncate(entry.bytes)
      await file.close()
      if (entry.bytes <= limits.outputBytes) return keep(new Uint8Array(entry.bytes))
      expected.bytes += entry.bytes
      return
    }
    case 'link':
      await symlink(join(outside, entry.to), full)
      return hostileOnce()
    case 'relative-link':
      await symlink(join('../../../../../../../../../../..', outside, entry.to), full)
      return hostileOnce()
    case 'link-inside':
      await symlink(join(source, entry.to), full)
      return hostileOnce()
    case 'loop':
      await symlink('.', full)
      return hostileOnce()
    case 'hard-link': {
      const [first] = expected.files.keys()
      if (first === undefined) return
      await link(join(source, first), full)
      return hostileOnce()
    }
    case 'hard-link-outside': {
      const decoy = `${source}.decoy`
      await writeFile(decoy, secret)
      await link(decoy, full)
      return hostileOnce()
    }
    case 'pipe':
    case 'device': {
      const made = (entry.kind === 'pipe' ? pipes : devices).pop()
      if (made === undefined) return
      await rename(made, full)
      return hostileOnce()
    }
    case 'socket': {
      if (Buffer.byteLength(full) > 100) return
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(full, resolve))
      expected.servers.push(server)
      return hostileOnce()
    }
    case 'strange-name': {
      const bytes = Buffer.concat([Buffer.from(`${full}/`), entry.name])
      if (await exists(bytes)) return
      if (entry.isFolder) await mkdir(bytes)
      else await writeFile(bytes, '')
      return hostileOnce()
    }
    case 'deep':
      for (let depth = 0, at = full; depth < entry.depth; depth++, at = join(at, 'd')) await mkdir(at)
      return hostileOnce()
    default:
      throw new TypeError(`unknown entry ${JSON.stringify(entry satisfies never)}`)
  }
}

async function exists(path: string | Buffer): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

async function makeFolders(source: string, folder: string): Promise<boolean> {
  if (folder === source) return true
  if (!(await makeFolders(source, dirname(folder)))) return false
  const found = await lstat(folder).catch(() => undefined)
  if (found === undefined) await mkdir(folder)
  return found === undefined || (found.isDirectory() && (isRoot || (found.mode & 0o700) === 0o700))
}

async function withPlace(work: (place: { source: string; destination: string; root: string }) => Promise<void>) {
  const root = join(stock, `t${++trees}`)
  const place = { root, source: join(root, 'out'), destination: join(root, 'kept') }
  await mkdir(place.source, { recursive: true })
  await mkdir(place.destination)
  try {
    await work(place)
  } finally {
    await removeTree(root)
  }
}

const sha256 = (data: Uint8Array) => `0x${createHash('sha256').update(data).digest('hex')}`

/** What stands in the destination is exactly the outputs: plain files with one name, and nothing of the secret. */
async function assertKept(destination: string, outputs: readonly { path: string; bytes: number; sha256: string }[]) {
  const entries = await readdir(destination, { recursive: true, withFileTypes: true })
  const kept = new Map<string, string>()
  for (const entry of entries) {
    if (entry.isDirectory()) continue
    const full = join(entry.parentPath, entry.name)
    const { mode, nlink } = await lstat(full)
    expect([entry.isFile(), nlink, mode & 0o7133]).toEqual([true, 1, 0])
    const data = await readFile(full)
    expect(data.includes(secret)).toBe(false)
    kept.set(full.slice(destination.length + 1), sha256(data))
  }
  expect(kept).toEqual(new Map(outputs.map(({ path, sha256 }) => [path, sha256])))
}

describe('collectOutputs on generated trees', () => {
  test('500 of them: takes the honest ones whole, keeps nothing of the others, and leaves the rest of the machine alone', async () => {
    const seen: Record<string, number> = {}
    const property = fc.asyncProperty(tree, (entries) =>
      withPlace(async ({ root, source, destination }) => {
        const expected = await build(source, entries)
        try {
          const collected = await collectOutputs({ source, destination, limits })
          seen[collected.kind] = (seen[collected.kind] ?? 0) + 1
          const { files, bytes, isHostile } = expected
          const isTooMuch = files.size > limits.outputFiles || bytes > limits.outputBytes
          if (collected.kind === 'collected') {
            expect([isHostile, isTooMuch]).toEqual([false, false])
            const wanted = [...files].map(([path, data]) => ({ path, bytes: data.length, sha256: sha256(data) }))
            expect(collected.outputs).toEqual(wanted.sort((a, b) => (a.path < b.path ? -1 : 1)))
            await assertKept(destination, collected.outputs)
          } else {
            expect(isHostile || isTooMuch).toBe(true)
            expect(collected.kind === 'output-limit' ? isTooMuch || isHostile : isHostile).toBe(true)
            expect(await readdir(destination)).toEqual([])
            if (collected.kind === 'refused-output') expect(collected.path).toMatch(/^"[^\p{Cc}\p{Cf}]{0,119}$/u)
          }
          expect((await readdir(root)).filter((name) => name !== 'out.decoy').sort()).toEqual(['kept', 'out'])
          await assertOutsideIsUntouched()
        } finally {
          for (const server of expected.servers) server.close()
        }
      }),
    )
    await fc.assert(property, { numRuns: 500, seed, endOnFailure: true })
    // A generator that makes one sort of tree only would prove little.
    expect(Object.keys(seen).sort()).toEqual(['collected', 'output-limit', 'refused-output'])
  }, 300_000)

  test('trees that change while they are looked at never bring in a file from outside', async () => {
    const swap = fc.constantFrom<readonly ['file' | 'folder', string]>(
      ['file', 'secret'],
      ['file', 'folder/a'],
      ['folder', 'folder'],
    )
    const property = fc.asyncProperty(swap, fc.integer({ min: 0, max: 12 }), ([kind, to], others) =>
      withPlace(async ({ root, source, destination }) => {
        const [real, fake, shown] = [join(root, 'real'), join(root, 'fake'), join(source, 'x')]
        for (let index = 0; index < others; index++) await writeFile(join(source, `o${index}`), Buffer.alloc(5000))
        if (kind === 'file') await writeFile(shown, 'h'.repeat(secret.length))
        else {
          await mkdir(shown)
          for (const name of ['a', 'b']) await writeFile(join(shown, name), 'h'.repeat(secret.length))
        }
        await symlink(join(outside, to), fake)
        let isDone = false
        const swapping = (async () => {
          while (!isDone) {
            await rename(shown, real)
            await rename(fake, shown)
            await rename(shown, fake)
            await rename(real, shown)
          }
        })()
        // What vanished under it may be any error; what was kept may only be what was there.
        const collected = await collectOutputs({ source, destination, limits }).catch(
          (error: NodeJS.ErrnoException) => error.code ?? error,
        )
        isDone = true
        await swapping
        if (typeof collected === 'string') expect(['ENOENT', 'ENOTDIR', 'ELOOP']).toContain(collected)
        else if ('kind' in collected && collected.kind !== 'collected') expect(await readdir(destination)).toEqual([])
        for (const entry of await readdir(destination, { recursive: true, withFileTypes: true })) {
          if (entry.isDirectory()) continue
          expect(entry.isFile()).toBe(true)
          expect((await readFile(join(entry.parentPath, entry.name))).includes(secret)).toBe(false)
        }
        await assertOutsideIsUntouched()
      }),
    )
    await fc.assert(property, { numRuns: 150, seed, endOnFailure: true })
  }, 120_000)
})
