import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltModule, buildModule } from './publish-module.ts'
import { testModule } from './test-module.ts'

let folder: string
let built: BuiltModule

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lilypad-test-module-'))
  built = await buildModule(fileURLToPath(new URL('../../../../examples/hello-module', import.meta.url)))
  await cp(join(built.folder, 'golden'), join(folder, 'golden'), { recursive: true })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const withManifest = (change: Partial<BuiltModule['manifest']>): BuiltModule => ({
  ...built,
  folder,
  manifest: { ...built.manifest, ...change },
})
const problemsOf = async (module: BuiltModule) => (await testModule({ built: module, runs: 2 })).examples[0]?.problems

describe('a module that is as it says', () => {
  test('passes, with the digests of its outputs and the time of each run', async () => {
    const report = await testModule({ built, runs: 3 })
    expect(report).toMatchObject({ module: 'hello-module', executor: 'wasm', ok: true })
    expect(report.examples).toMatchObject([{ runs: 3, outputs: [{ path: 'hello.txt', bytes: 17 }], problems: [] }])
    expect(report.examples[0]?.milliseconds).toHaveLength(3)
  })
})

describe('a module that is not as it says', () => {
  test('is told of another golden output', async () => {
    await writeFile(join(folder, 'golden/hello.txt'), 'Hello, friend!\n')
    expect(await problemsOf(withManifest({}))).toEqual([
      'hello.txt: differs from the golden output by the comparator exact',
    ])
  })

  test('is told of an output it declares and does not write', async () => {
    const files = [{ path: 'other.txt', mediaType: 'text/plain', title: 'Other' }]
    expect(await problemsOf(withManifest({ outputs: { files, result: null } }))).toEqual([
      'the manifest declares the output other.txt, the run did not write it',
    ])
  })

  test('is told how a run failed', async () => {
    const limits = { ...built.manifest.limits, outputBytes: 3 }
    expect(await problemsOf(withManifest({ limits }))).toEqual([expect.stringContaining('output-limit')])
  })

  test('is told that its example breaks its own schema', async () => {
    const examples = [{ title: 'Nobody', inputs: { name: '' }, files: {} }]
    await expect(problemsOf(withManifest({ examples }))).rejects.toMatchObject({ code: 'INPUTS_INVALID' })
  })

  test('has to ship an example', async () => {
    await expect(problemsOf(withManifest({ examples: [] }))).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  })
})
