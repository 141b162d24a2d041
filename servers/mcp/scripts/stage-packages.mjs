// Lays out what is published, from the bundle: dist/npm for `npm publish` and the image, dist/mcpb for `mcpb pack`.
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { mcpbManifest, npmPackage } from '../../../tools/mcp-packages.mjs'
import { toolList } from '../src/generated/tool-list.ts'

const folder = fileURLToPath(new URL('..', import.meta.url))
const dist = (path) => join(folder, 'dist', path)

for (const name of ['npm', 'mcpb']) rmSync(dist(name), { recursive: true, force: true })
mkdirSync(dist('mcpb'), { recursive: true })
cpSync(dist('bundle'), dist('npm'), { recursive: true })
cpSync(join(folder, 'README.md'), dist('npm/README.md'))
cpSync(join(folder, '../../LICENSE'), dist('npm/LICENSE'))
writeFileSync(dist('npm/package.json'), npmPackage())
cpSync(dist('bundle'), dist('mcpb/server'), { recursive: true })
writeFileSync(dist('mcpb/manifest.json'), mcpbManifest(toolList.map(({ tool }) => tool)))
// The files in `server` are ES modules; without this, Node reads them twice to find out.
writeFileSync(dist('mcpb/package.json'), '{ "type": "module" }\n')
