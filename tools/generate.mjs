// Writes what is derived from the contracts: ABIs and bytecode for `packages/abi`, storage layouts for reviews.
// `--check` writes nothing and fails when a file is stale.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { foundryBinary } from './foundry.mjs'

const root = dirname(import.meta.dirname)
const contracts = [
  { name: 'JobVault', file: 'job-vault', variable: 'jobVault' },
  { name: 'ModuleRegistry', file: 'module-registry', variable: 'moduleRegistry' },
  { name: 'LilyToken', file: 'lily-token', variable: 'lilyToken' },
]

function buildContracts() {
  const result = spawnSync(foundryBinary('forge'), ['build', '--quiet', 'contracts/src'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (result.status === 0) return
  console.error(result.error?.message ?? result.stdout + result.stderr)
  process.exit(1)
}

function readArtifact(name) {
  return JSON.parse(readFileSync(join(root, 'contracts/out', `${name}.sol`, `${name}.json`), 'utf8'))
}

/** One line per ABI entry, so that a review shows what changed. */
function renderModule({ name, variable }, artifact) {
  const entries = artifact.abi.map((entry) => `  ${JSON.stringify(entry)},`)
  return [
    `// Generated from contracts/src/${name}.sol by tools/generate.mjs; not edited by hand.`,
    '',
    `export const ${variable}Abi = [`,
    ...entries,
    '] as const',
    '',
    `/** Creation code; constructor arguments are appended. */`,
    `export const ${variable}Bytecode =`,
    `  '${artifact.bytecode.object}' as const`,
    '',
  ].join('\n')
}

/** Labels, slots and types only: ids that depend on the compiler's numbering are left out. */
function renderLayout(artifact) {
  const { storage, types } = artifact.storageLayout
  const toVariable = ({ label, offset, slot, type }) => ({ label, slot: Number(slot), offset, type: types[type].label })
  const structs = Object.values(types ?? {})
    .filter((type) => type.members !== undefined)
    .map(({ label, members, numberOfBytes }) => ({
      label,
      bytes: Number(numberOfBytes),
      members: members.map(toVariable),
    }))
    .sort((a, b) => (a.label < b.label ? -1 : 1))
  return `${JSON.stringify({ storage: storage.map(toVariable), structs }, null, 2)}\n`
}

function renderFiles() {
  return contracts.flatMap((contract) => {
    const artifact = readArtifact(contract.name)
    return [
      { path: `packages/abi/src/generated/${contract.file}.ts`, text: renderModule(contract, artifact) },
      { path: `contracts/test/layout/${contract.name}.json`, text: renderLayout(artifact) },
    ]
  })
}

function isStale({ path, text }) {
  try {
    return readFileSync(join(root, path), 'utf8') !== text
  } catch {
    return true
  }
}

buildContracts()
const stale = renderFiles().filter(isStale)
if (process.argv.includes('--check')) {
  for (const { path } of stale) console.error(`${path} is stale: run \`npm run generate\``)
  process.exit(stale.length === 0 ? 0 : 1)
}
for (const { path, text } of stale) {
  const target = join(root, path)
  mkdirSync(dirname(target), { recursive: true })
  writeFileSync(target, text)
  console.log(`wrote ${relative(root, target)}`)
}
