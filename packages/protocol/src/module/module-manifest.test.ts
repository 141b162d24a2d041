import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { prototypeNames } from '../../test/arbitraries.ts'
import { sample, sampleManifest } from '../../test/sample-manifest.ts'
import { encodeModuleManifest, ModuleManifest, moduleManifestDigest, ModuleName } from './module-manifest.ts'

/** The sample with one value put at a path, or taken away when it is undefined. */
function withValue(path: string, value: unknown): unknown {
  const copy = structuredClone(sampleManifest) as Record<string, unknown>
  const names = path.split('.')
  const last = names.pop() ?? ''
  let at = copy
  for (const name of names) at = at[name] as Record<string, unknown>
  if (value === undefined) delete at[last]
  else Object.defineProperty(at, last, { value, enumerable: true, configurable: true, writable: true })
  return copy
}

describe('ModuleManifest', () => {
  test('the manifests of the examples hold', () => {
    const folder = new URL('../../../../examples/modules/', import.meta.url)
    const names = readdirSync(folder)
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) {
      const manifest = JSON.parse(readFileSync(new URL(`${name}/module.json`, folder), 'utf8'))
      // The recipe of a container fills in the digest of the image that it builds.
      if (manifest.runtime.kind === 'container') manifest.runtime.image.digest = `sha256:${'0'.repeat(64)}`
      const parsed = ModuleManifest.safeParse(manifest)
      expect(parsed.error?.issues).toBeUndefined()
      expect(parsed.data?.name).toBe(name)
    }
  })

  test('comes back from its canonical form with the same digest', () => {
    const text = encodeModuleManifest(sample)
    const back = ModuleManifest.parse(JSON.parse(text))
    expect(back).toEqual(sample)
    expect(moduleManifestDigest(back)).toBe(moduleManifestDigest(sample))
    expect(encodeModuleManifest(z.decode(ModuleManifest, z.encode(ModuleManifest, sample)))).toBe(text)
  })

  test('a manifest from before GPUs keeps its digest', () => {
    expect(moduleManifestDigest(sample)).toBe('0xfdfdac3c604a8cc90f034e2afeb0cb3510d1cc53ef316c1eaf76f6299ae3698c')
  })

  describe('of a container', () => {
    const container = {
      kind: 'container',
      image: { digest: `sha256:${'0'.repeat(64)}`, reference: 'sample:1' },
      args: [],
      stdin: 'none',
      env: {},
    }
    const withGpu = (gpu: unknown) =>
      ModuleManifest.safeParse({
        ...sampleManifest,
        runtime: container,
        limits: { ...sampleManifest.limits, ...(gpu === undefined ? {} : { gpu }) },
      })
    const gpu = { count: 2, memoryBytes: 16 * 1024 ** 3 }

    test('may ask for GPUs, which changes its digest', () => {
      const digests = [undefined, gpu, { ...gpu, vendor: 'nvidia' }, { ...gpu, count: 1 }].map((value) => {
        const parsed = withGpu(value)
        expect(parsed.error?.issues).toBeUndefined()
        return parsed.data && moduleManifestDigest(parsed.data)
      })
      expect(new Set(digests).size).toBe(4)
    })

    test.each([
      ['no GPUs', { ...gpu, count: 0 }],
      ['half a GPU', { ...gpu, count: 0.5 }],
      ['GPUs without memory', { count: 1 }],
      ['another vendor', { ...gpu, vendor: 'matrox' }],
      ['a GPU by name', { ...gpu, uuid: 'GPU-0' }],
      ['nothing in words', null],
    ])('may not ask for %s', (_, value) => {
      expect(withGpu(value).success).toBe(false)
    })
  })

  test('every member but the optional ones is needed', () => {
    const optional = ['examples']
    for (const name of Object.keys(sampleManifest)) {
      if (optional.includes(name)) continue
      expect(ModuleManifest.safeParse(withValue(name, undefined)).success, name).toBe(false)
    }
  })

  test.each<[string, string, unknown]>([
    ['a member nobody knows', 'more', 1],
    ['another version of the schema', 'schema', 'lilypad/module@2'],
    ['an unknown member of a part', 'limits.gpus', 1],
    ['a name with capitals', 'name', 'Sample'],
    ['a name that starts with a dash', 'name', '-sample'],
    ['a name of 64', 'name', 'a'.repeat(64)],
    ['a name with a line break', 'name', 'sample\n'],
    ['no semantic version', 'version', '1.0'],
    ['another runtime', 'runtime.kind', 'shell'],
    ['a program of another type', 'runtime.program.mediaType', 'text/x-shellscript'],
    ['a variable of the linker', 'runtime.env', { LD_PRELOAD: '/out/x.so' }],
    ['a variable of the GPU runtime', 'runtime.env', { NVIDIA_VISIBLE_DEVICES: 'all' }],
    ['a variable in small letters', 'runtime.env', { http_proxy: 'x' }],
    ['an output outside its folder', 'outputs.files', [{ path: '../x', mediaType: 'a/b', title: '' }]],
    ['a result outside its folder', 'outputs.result', { path: '/etc/passwd' }],
    ['a GPU for a program that cannot use one', 'limits.gpu', { count: 1, memoryBytes: 1024 ** 3 }],
    ['a negative limit', 'limits.outputBytes', -1],
    ['a limit that is not whole', 'limits.timeoutSeconds', 1.5],
    ['no time limit', 'limits.timeoutSeconds', 0],
    ['a price as a number', 'price.pricePerJob', 1000],
    ['a price with a dot', 'price.pricePerJob', '0.1'],
    ['a negative price', 'price.pricePerJob', '-1'],
    ['a share above a half', 'author.feeBips', 5001],
    ['a comparator nobody has', 'comparator', { name: 'vibes' }],
    ['a reference', 'inputs.properties.text', { $ref: '#' }],
    ['a regular expression', 'inputs.properties.text', { type: 'string', maxLength: 5, pattern: '(a+)+$' }],
    ['text without a limit', 'inputs.properties.text', { type: 'string' }],
    ['a list in a list', 'inputs.properties.tags.items', { type: 'array', maxItems: 1, items: { type: 'boolean' } }],
    ['other inputs than those named', 'inputs.additionalProperties', true],
    ['a required input that does not exist', 'inputs.required', ['text', 'nobody']],
    ['units measured on nothing', 'units.inputFrom', { kind: 'string-length', property: 'nobody' }],
    ['units measured on the wrong kind', 'units.inputFrom', { kind: 'file-bytes', property: 'text' }],
    ['a file named like the inputs themselves', 'inputs.properties.inputs', sampleManifest.inputs.properties.image],
    ['text that has no bytes', 'description', 'a\ud800'],
    ['an example outside its folder', 'examples', [{ title: '', inputs: {}, files: { image: '../secret' } }]],
  ])('refuses %s', (_, path, value) => {
    expect(ModuleManifest.safeParse(withValue(path, value)).success).toBe(false)
  })

  test.each([...prototypeNames.slice(1), 'Text', '1a', '', 'a-b', 'a b', 'a'.repeat(65)])(
    'refuses an input named %j',
    (name) => {
      const manifest = withValue(`inputs.properties.${name}`, { type: 'boolean' })
      expect(ModuleManifest.safeParse(manifest).success).toBe(false)
    },
  )

  test('any change of the manifest changes its digest', () => {
    const digests = [
      ['title', 'Other'],
      ['price.pricePerJob', '1001'],
      ['runtime.args', ['sample']],
      ['limits.pids', 2],
      ['inputs.properties.text.maxLength', 21],
      ['runtime.program.bytes', 101],
    ].map(([path, value]) => moduleManifestDigest(ModuleManifest.parse(withValue(String(path), value))))
    expect(new Set([moduleManifestDigest(sample), ...digests]).size).toBe(digests.length + 1)
  })
})

test('names of modules', () => {
  for (const name of ['a', '0', 'tts', 'a-', 'a'.repeat(63)]) expect(ModuleName.safeParse(name).success).toBe(true)
  for (const name of ['', '-', 'A', 'a_b', 'a.b', 'ä', 'a b', 'a/b'])
    expect(ModuleName.safeParse(name).success).toBe(false)
})
