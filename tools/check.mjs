// npm run check: everything a tool can check without running the product.
import { build, install, node, root, runOrExit } from './bootstrap.mjs'
import { join } from 'node:path'

install()
build()
const bin = (name) => join(root, 'node_modules', '.bin', name)
const steps = [
  ['format and lint', bin('biome'), ['ci', '--colors=off', '--diagnostic-level=warn', '.']],
  ['types of tests', bin('tsc'), ['-p', 'tsconfig.tests.json']],
  ['contracts format', node, ['tools/foundry.mjs', 'forge', 'fmt', '--check']],
  ['contracts lint', node, ['tools/foundry.mjs', 'forge', 'lint', '-D', 'warnings']],
  ['generated files', node, ['tools/generate.mjs', '--check']],
  ['generated docs', node, ['tools/generate-docs.mjs', '--check']],
  ['unused code', bin('knip'), []],
  ['workspaces', bin('sherif'), []],
]
for (const [name, command, args] of steps) {
  console.error(`\n== ${name}`)
  runOrExit(command, args)
}
