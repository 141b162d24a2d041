import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '@modelcontextprotocol/client'
import { encode } from 'fast-png'
import { encodePhoto } from './photo.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMcpHttp } from '../src/index.ts'
import { type Answer, callRefused, callTool, connectHttp } from './clients.ts'
import { seedConfig, seedJobs } from './seed-jobs.ts'
import { countTokens } from './tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-results-'))
const state = join(folder, 'state')
const outputDirectory = join(folder, 'out')
const png = Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), Buffer.alloc(2000, 7)])
const wide = Buffer.from(
  encode({
    width: 900,
    height: 900,
    channels: 3,
    depth: 8,
    data: randomBytes(900 * 900 * 3),
  }),
)
const many = Object.fromEntries(
  Array.from({ length: 500 }, (_, index) => [
    `pages/${String(index).padStart(3, '0')}.txt`,
    Buffer.from(`page ${index}`),
  ]),
)
const long = Buffer.from('Zeile 0123456789 ß\n'.repeat(600_000))
const closers: (() => Promise<void>)[] = []
let client: Client
let blind: Client
let ids: readonly string[]
const job = (index: number) => ({ job_id: ids[index] ?? '' })
const settings = { outputDirectory }

beforeAll(async () => {
  ids = await seedJobs(state, [
    { outputs: { 'out.txt': Buffer.from('hello') } },
    { outputs: many },
    { outputs: { 'log.txt': long } },
    {
      outputs: {
        'a.png': png,
        'b.png': Buffer.from('<svg onload="alert(1)"/>'),
        'c.jpg': png,
        'big.png': Buffer.concat([png, Buffer.alloc(300 * 1024)]),
        'wide.png': wide,
        'photo.jpg': await encodePhoto(1000, 800),
        'wide.jpg': wide,
      },
      declared: {
        'a.png': 'image/png',
        'b.png': 'image/png',
        'c.jpg': 'image/jpeg',
        'big.png': 'image/png',
        'wide.png': 'image/png',
        'photo.jpg': 'image/jpeg',
        'wide.jpg': 'image/jpeg',
      },
    },
    ...Array.from({ length: 27 }, (_, index) => ({ orderedAt: 1_700_000_000 + Math.floor(index / 5) })),
  ])
  const server = await startMcpHttp(seedConfig(state, settings))
  const withoutImages = await startMcpHttp(seedConfig(state, { images: 'omit' }))
  client = await connectHttp(server.url, 'modern')
  blind = await connectHttp(withoutImages.url, 'legacy')
  closers.push(
    () => client.close(),
    () => blind.close(),
    server.close,
    withoutImages.close,
  )
})
afterAll(async () => {
  for (const close of closers) await close()
  rmSync(folder, { recursive: true, force: true })
})

/** Every text in a value. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsOf) : []
}
const imagesOf = ({ content }: Answer) => content.filter(({ type }) => type === 'image')

describe('S3, S4: results are small and say the same twice', () => {
  test.each([
    ['one small file', 'lilypad_get_outputs', () => job(0)],
    ['500 files', 'lilypad_get_outputs', () => job(1)],
    ['a file of 11 MB', 'lilypad_get_outputs', () => job(2)],
    ['images', 'lilypad_get_outputs', () => job(3)],
    ['a job of 500 files', 'lilypad_get_job', () => job(1)],
    ['jobs', 'lilypad_list_jobs', () => ({})],
    ['checks of 500 files', 'lilypad_verify_job', () => job(1)],
  ])('%s', async (_what, tool, args) => {
    const answer = await callTool(client, tool, args())
    expect(countTokens(answer.structuredContent)).toBeLessThanOrEqual(tool === 'lilypad_verify_job' ? 2500 : 2000)
    for (const text of textsOf(answer.structuredContent)) {
      expect(text.length).toBeLessThanOrEqual(4096)
      expect(text).not.toMatch(/[A-Za-z0-9+/]{200,}={0,2}/)
    }
  })

  test('the largest answers stay under 8,000 tokens', async () => {
    for (const [tool, args] of [
      ['lilypad_list_jobs', { limit: 50 }],
      ['lilypad_get_outputs', { ...job(1), path: 'pages/001.txt' }],
    ] as const)
      expect(countTokens((await callTool(client, tool, args)).structuredContent)).toBeLessThan(8000)
  })
})

describe('S6: pages', () => {
  async function walk(tool: string, args: Record<string, unknown>, list: string, key: string): Promise<string[]> {
    const seen: string[] = []
    let cursor: unknown
    for (let page = 0; page < 100; page++) {
      const { structuredContent } = await callTool(client, tool, { ...args, ...(cursor ? { cursor } : {}) })
      seen.push(...(structuredContent[list] as Record<string, string>[]).map((row) => String(row[key])))
      cursor = structuredContent.next_cursor
      if (cursor === null) return seen
      // A job that comes between two pages stands before all of them.
      if (page === 1 && list === 'jobs') await seedJobs(state, [{ orderedAt: 1_800_000_000 }])
    }
    throw new Error('the walk has no end')
  }

  test('of jobs: none is missed and none comes twice, though jobs come meanwhile', async () => {
    const seen = await walk('lilypad_list_jobs', { limit: 4 }, 'jobs', 'job_id')
    expect(new Set(seen).size).toBe(seen.length)
    expect([...seen].sort()).toEqual([...ids].sort())
  })

  test('of files', async () => {
    expect(await walk('lilypad_get_outputs', job(1), 'files', 'path')).toEqual(Object.keys(many))
  })

  test.each(['nonsense', 'W10', 'WyJhIl0', 'bnVsbA'])('the cursor %j is refused with what to do', async (cursor) => {
    for (const [tool, args] of [
      ['lilypad_list_jobs', {}],
      ['lilypad_get_outputs', job(1)],
    ] as const) {
      const refused = await callRefused(client, tool, { ...args, cursor })
      expect(refused.code).toBe('INVALID_REQUEST')
      expect(refused.message).toContain('cursor')
    }
  })

  test('a long text is read on with offset', async () => {
    let offset = 0
    let read = ''
    for (let part = 0; part < 3; part++) {
      const { structuredContent } = await callTool(client, 'lilypad_get_outputs', {
        ...job(0),
        path: 'out.txt',
        offset,
      })
      const { texts } = structuredContent.untrusted as { texts: { text: string; next_offset: number | null }[] }
      read += texts[0]?.text
      if (texts[0]?.next_offset === null) break
      offset = texts[0]?.next_offset ?? 0
    }
    expect(read).toBe('hello')
  })
})

describe('S7: images', () => {
  test('one is shown; what lies about its kind and what is too large is not', async () => {
    const answer = await callTool(client, 'lilypad_get_outputs', job(3))
    expect(imagesOf(answer)).toMatchObject([{ mimeType: 'image/png' }])
    const files = answer.structuredContent.files as { path: string; mislabelled?: boolean }[]
    expect(files.filter(({ mislabelled }) => mislabelled).map(({ path }) => path)).toEqual(['b.png', 'c.jpg'])
    const lie = await callTool(client, 'lilypad_get_outputs', { ...job(3), path: 'b.png' })
    expect(imagesOf(lie)).toEqual([])
    expect(lie.structuredContent.untrusted).toEqual({ texts: [] })
    const large = await callTool(client, 'lilypad_get_outputs', { ...job(3), path: 'big.png' })
    expect(imagesOf(large)).toEqual([])
    expect(large.content.filter(({ type }) => type === 'resource_link')).toMatchObject([
      { uri: `lilypad://jobs/${ids[3]}/outputs/big.png`, size: 300 * 1024 + png.length },
    ])
  })

  test('S7: a large JPEG is shown smaller, one that lies about its kind is not shown', async () => {
    const answer = await callTool(client, 'lilypad_get_outputs', { ...job(3), path: 'photo.jpg' })
    const [image] = imagesOf(answer)
    expect(image).toMatchObject({ mimeType: 'image/jpeg' })
    expect(Buffer.from(String(image?.data), 'base64').length).toBeLessThanOrEqual(256 * 1024)
    const lying = await callTool(client, 'lilypad_get_outputs', { ...job(3), path: 'wide.jpg' })
    expect(imagesOf(lying)).toEqual([])
    expect(lying.structuredContent.files).toMatchObject([
      { path: 'wide.jpg', mislabelled: true, media_type: 'application/octet-stream' },
    ])
  })

  test('a larger PNG is made smaller, and linked whole', async () => {
    const answer = await callTool(client, 'lilypad_get_outputs', { ...job(3), path: 'wide.png' })
    expect(wide.length).toBeGreaterThan(256 * 1024)
    const [image] = imagesOf(answer)
    const bytes = Buffer.from(String(image?.data), 'base64')
    expect(bytes.length).toBeLessThanOrEqual(256 * 1024)
    expect(bytes.subarray(1, 4).toString()).toBe('PNG')
    expect(answer.structuredContent.files).toMatchObject([{ bytes: wide.length }])
  })

  test('none is shown where the owner wants none', async () => {
    expect(imagesOf(await callTool(blind, 'lilypad_get_outputs', job(3)))).toEqual([])
  })
})

describe('saving', () => {
  const save = (args: Record<string, unknown>) => callTool(client, 'lilypad_save_outputs', args)

  test('files are written into the output folder, and nowhere else', async () => {
    const { structuredContent } = await save({ ...job(0), subdir: 'a/b' })
    const [written] = structuredContent.written as { file: string }[]
    expect(written?.file).toBe(join(outputDirectory, 'a', 'b', 'out.txt'))
    expect(readFileSync(written?.file ?? '', 'utf8')).toBe('hello')
    const some = await save({ ...job(1), paths: ['pages/003.txt'] })
    expect(some.structuredContent.written).toHaveLength(1)
    expect(existsSync(join(outputDirectory, `${ids[1]?.slice(0, 18)}`, 'pages', '004.txt'))).toBe(false)
  })

  test.each(['..', '../x', '/tmp', 'a/../..', 'a\\b', ''])('the folder %j is refused', async (subdir) => {
    if (subdir === '') return expect((await save({ ...job(0), subdir })).isError).toBeUndefined()
    expect(await callRefused(client, 'lilypad_save_outputs', { ...job(0), subdir })).toMatchObject({
      code: 'INVALID_REQUEST',
    })
  })

  test('an unknown file is refused before anything is written', async () => {
    const args = { ...job(2), paths: ['log.txt', 'none'], subdir: 'unknown' }
    expect(await callRefused(client, 'lilypad_save_outputs', args)).toMatchObject({ code: 'OUTPUT_UNKNOWN' })
    expect(existsSync(join(outputDirectory, 'unknown'))).toBe(false)
  })

  test('without an output folder the refusal says what to ask for', async () => {
    const refused = await callRefused(blind, 'lilypad_save_outputs', job(0))
    expect(refused.code).toBe('PATH_NOT_ALLOWED')
    expect(refused.fix).toContain('--output-dir')
  })
})

test('a job that is settled is not cancelled, and the answer says what is owed', async () => {
  const { structuredContent } = await callTool(client, 'lilypad_cancel_job', job(0))
  expect(structuredContent).toMatchObject({ state: 'settled', payment: 'settled', done: true })
})
