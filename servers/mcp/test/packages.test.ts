import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { helpText } from '../src/config/help-text.ts'
import packageJson from '../package.json' with { type: 'json' }

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url))
const read = (relative: string) => readFileSync(path(relative), 'utf8')
const json = (relative: string): unknown => JSON.parse(read(relative))
const { name, version, mcpName } = packageJson

test('the registry finds the name of the server in each package', () => {
  const entry = z
    .looseObject({
      name: z.string().regex(/^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/),
      version: z.literal(version),
      description: z.string().max(100),
      packages: z.tuple([
        z.looseObject({ registryType: z.literal('npm'), identifier: z.literal(name), version: z.literal(version) }),
        z.looseObject({ registryType: z.literal('oci'), identifier: z.string().endsWith(`:${version}`) }),
      ]),
    })
    .parse(json('server.json'))
  expect(entry.name).toBe(mcpName)
  expect(read('Dockerfile')).toContain(`io.modelcontextprotocol.server.name="${mcpName}"`)
  expect(json('dist/npm/package.json')).toMatchObject({
    name,
    version,
    mcpName,
    bin: { 'lilypad-mcp': 'lilypad-mcp.js' },
  })
})

test('V4: the npm package has nothing to install beside it', () => {
  expect(Object.keys(json('dist/npm/package.json') as object).filter((key) => /dependencies/i.test(key))).toEqual([])
})

test('the plugin, the marketplace and the extension are of this version, and their files are there', () => {
  const plugin = z.looseObject({ version: z.string(), skills: z.string() }).parse(json('.claude-plugin/plugin.json'))
  expect(plugin.version).toBe(version)
  expect(existsSync(path(`${plugin.skills}run-lilypad-job/SKILL.md`))).toBe(true)
  const { plugins } = z
    .looseObject({ plugins: z.array(z.looseObject({ source: z.string(), version: z.string() })) })
    .parse(json('../../.claude-plugin/marketplace.json'))
  for (const { source, version: offered } of plugins) {
    expect(offered).toBe(version)
    expect(existsSync(path(`../../${source}/.claude-plugin/plugin.json`))).toBe(true)
  }
  expect(json('../../gemini-extension.json')).toMatchObject({ version })
})

test('every variable that a form of the server asks for is one of its settings', () => {
  const known = new Set(helpText().match(/LILYPAD_[A-Z_]+/g))
  const forms = ['server.json', '.claude-plugin/plugin.json', '../../gemini-extension.json', 'dist/mcpb/manifest.json']
  for (const form of [...forms, 'Dockerfile']) {
    const asked = read(form).match(/LILYPAD_[A-Z_]+/g) ?? []
    expect(asked.length, form).toBeGreaterThan(0)
    for (const variable of asked) expect(known, form).toContain(variable)
  }
})

test('the links for Cursor and VS Code start what the other ways start', () => {
  const command = { command: 'npx', args: ['-y', name] }
  const readme = read('README.md')
  const [, cursor = ''] = /cursor\.com[^)]*config=([^)]+)\)/.exec(readme) ?? []
  expect(JSON.parse(Buffer.from(decodeURIComponent(cursor), 'base64').toString())).toEqual(command)
  const [, code = ''] = /vscode\.dev[^)]*config=([^)]+)\)/.exec(readme) ?? []
  expect(JSON.parse(decodeURIComponent(code))).toEqual(command)
})
