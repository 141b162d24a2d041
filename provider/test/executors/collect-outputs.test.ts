import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmod,
  type FileHandle,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { collectOutputs, findPathProblem } from '../../src/outputs/collect-outputs.ts'

const limits = { outputBytes: 100_000, outputFiles: 20 }
let root: string
let source: string
let destination: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'lilypad-collect-'))
  ;[source, destination] = [join(root, 'out'), join(root, 'collected')]
  await mkdir(source)
  await mkdir(destination)
})
afterEach(async () => {
  await rm(root, { recursive: true, force: true })
})
const collect = (changes: Partial<typeof limits> = {}) =>
  collectOutputs({ source, destination, limits: { ...limits, ...changes } })

describe('collectOutputs', () => {
  test('copies regular files with size and digest, sorted by path', async () => {
    await mkdir(join(source, 'b/c'), { recursive: true })
    await mkdir(join(source, 'empty folder'))
    await writeFile(join(source, 'b/c/grüße.txt'), 'hello')
    await writeFile(join(source, 'a'), '')
    const sha256 = (text: string) => `0x${createHash('sha256').update(text).digest('hex')}`
    expect(await collect()).toEqual({
      kind: 'collected',
      outputs: [
        { path: 'a', bytes: 0, sha256: sha256('') },
        { path: 'b/c/grüße.txt', bytes: 5, sha256: sha256('hello') },
      ],
    })
    expect(await readFile(join(destination, 'b/c/grüße.txt'), 'utf8')).toBe('hello')
    expect(await readdir(destination)).toEqual(['a', 'b'])
  })

  type Attack = readonly [name: string, reason: string, make: () => unknown]
  const attacks: readonly Attack[] = [
    ['a link to a file outside', 'only regular files are accepted', () => symlink('/etc/passwd', join(source, 'x'))],
    ['a link to a folder outside', 'only regular files are accepted', () => symlink('/etc', join(source, 'x'))],
    ['a link to nothing', 'only regular files are accepted', () => symlink('/nowhere', join(source, 'x'))],
    ['a named pipe', 'only regular files are accepted', () => execFileSync('mkfifo', [join(source, 'x')])],
    [
      'a socket',
      'only regular files are accepted',
      () => new Promise<void>((resolve) => createServer().unref().listen(join(source, 'x'), resolve)),
    ],
    [
      'two names of one file',
      'the file has more than one name',
      async () => {
        await writeFile(join(source, 'x'), '')
        await link(join(source, 'x'), join(source, 'y'))
      },
    ],
    [
      'a second name of a file outside',
      'the file has more than one name',
      async () => {
        await writeFile(join(root, 'secret'), 'secret')
        await link(join(root, 'secret'), join(source, 'x'))
      },
    ],
    ['a newline in a name', 'the path is not a plain relative path', () => writeFile(join(source, 'a\nb'), '')],
    ['a terminal escape in a folder', 'the path is not a plain relative path', () => mkdir(join(source, '\u001b[2J'))],
    [
      'text that runs right to left',
      'the path is not a plain relative path',
      () => writeFile(join(source, 'a\u202egnp.exe'), ''),
    ],
    ['a backslash', 'the path is not a plain relative path', () => writeFile(join(source, '..\\x'), '')],
    [
      'a name that is not UTF-8',
      'a name is not valid UTF-8',
      () => writeFile(Buffer.concat([Buffer.from(`${source}/a`), Buffer.from([0xff])]), ''),
    ],
    [
      'folders that nest too deep',
      'folders nest too deep',
      () => mkdir(join(source, Array(17).fill('d').join('/')), { recursive: true }),
    ],
    [
      'a path that is too long',
      'the path is too long',
      () => mkdir(join(source, Array(3).fill('d'.repeat(200)).join('/')), { recursive: true }),
    ],
  ]
  test.each(attacks)('refuses %s', async (_name, reason, make) => {
    await writeFile(join(source, 'honest.txt'), 'fine')
    await make()
    expect(await collect()).toMatchObject({
      kind: 'refused-output',
      reason,
      path: expect.stringMatching(/^"[ -~ü\ufffd]*"?$/),
    })
    expect(await readdir(destination)).toEqual([])
  })

  test('counts a sparse file by its size, without reading it', async () => {
    await writeFile(join(source, 'x'), '')
    await truncate(join(source, 'x'), 2 ** 40)
    expect(await collect()).toEqual({ kind: 'output-limit' })
  })

  test('takes as much as the limits say and not one more', async () => {
    await writeFile(join(source, 'x'), Buffer.alloc(60))
    await writeFile(join(source, 'y'), Buffer.alloc(40))
    expect((await collect({ outputBytes: 100, outputFiles: 2 })).kind).toBe('collected')
    await rm(destination, { recursive: true })
    await mkdir(destination)
    expect(await collect({ outputBytes: 99 })).toEqual({ kind: 'output-limit' })
    expect(await collect({ outputFiles: 1 })).toEqual({ kind: 'output-limit' })
    expect(await readdir(destination)).toEqual([])
  })

  test('counts folders too', async () => {
    for (let index = 0; index < 40; index++) await mkdir(join(source, `d${index}`))
    expect(await collect()).toEqual({ kind: 'output-limit' })
  })

  test.skipIf(!canBecomeNobody())('refuses what another user cannot read, and removes it all the same', async () => {
    const script = join(fileURLToPath(new URL('.', import.meta.url)), 'unreadable-tree.ts')
    await chmod(root, 0o777)
    const out = execFileSync(process.execPath, ['--conditions=source', '--no-warnings', script, root], {
      uid: 65_534,
      gid: 65_534,
      encoding: 'utf8',
    })
    expect(JSON.parse(out)).toEqual([
      { kind: 'refused-output', reason: 'the file cannot be read', path: '"file"' },
      { kind: 'refused-output', reason: 'a folder cannot be read', path: '"folder/"' },
      [],
    ])
  })

  test('never throws its own refusals, never places anything outside, delivers all or nothing', async () => {
    const name = fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.string({ minLength: 1, maxLength: 6, unit: 'binary' }))
    const entry = fc.record({
      parts: fc.array(name, { minLength: 1, maxLength: 4 }),
      kind: fc.constantFrom('file', 'file', 'file', 'link', 'hard'),
      size: fc.nat(4000),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 12 }), async (entries) => {
        for (const folder of [source, destination]) {
          await rm(folder, { recursive: true, force: true })
          await mkdir(folder)
        }
        const made = new Map<string, Buffer>()
        let isHostile = false
        for (const { parts, kind, size } of entries) {
          const path = parts.join('/')
          if (
            path.includes('\0') ||
            !path.isWellFormed() ||
            parts.some((part) => part === '.' || part === '..' || part.includes('/'))
          )
            continue
          try {
            await mkdir(join(source, parts.slice(0, -1).join('/')), { recursive: true })
            if (kind === 'link') await symlink('/etc/passwd', join(source, path))
            else if (kind === 'hard')
              await link([...made.keys()].map((known) => join(source, known))[0] ?? '/nowhere', join(source, path))
            else await writeNew(join(source, path), Buffer.alloc(size, path))
          } catch {
            continue
          }
          if (kind === 'file') made.set(path, Buffer.alloc(size, path))
          else isHostile = true
        }
        const collected = await collect()
        if (collected.kind !== 'collected') {
          expect(await readdir(destination)).toEqual([])
          return
        }
        expect(isHostile).toBe(false)
        expect(collected.outputs.map(({ path }) => path)).toEqual([...made.keys()].sort())
        for (const { path, bytes, sha256 } of collected.outputs) {
          const content = await readFile(join(destination, path))
          expect(findPathProblem(path)).toBeUndefined()
          expect(content.equals(made.get(path) ?? Buffer.alloc(0))).toBe(true)
          expect([bytes, sha256]).toEqual([content.length, `0x${createHash('sha256').update(content).digest('hex')}`])
        }
      }),
      { numRuns: 60 },
    )
  })
})

/** Whether this is root and another user may read this folder and Node.js. */
function canBecomeNobody(): boolean {
  if (process.getuid?.() !== 0) return false
  try {
    execFileSync(process.execPath, ['-e', 'fs.readFileSync(process.argv[1])', fileURLToPath(import.meta.url)], {
      uid: 65_534,
      gid: 65_534,
      stdio: 'ignore',
    })
    return true
  } catch {
    return false
  }
}

async function writeNew(path: string, content: Buffer): Promise<void> {
  const handle: FileHandle = await open(path, 'wx')
  await handle.writeFile(content)
  await handle.close()
}
