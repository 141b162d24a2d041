// Writes what is derived from the contracts: ABIs and bytecode for `packages/abi`, storage layouts for reviews.
// `--check` writes nothing and fails when a file is stale.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { foundryBinary } from './foundry.mjs'

const root = dirname(import.meta.dirname)
/** Our own contracts, and the timelock of OpenZeppelin that we deploy as it is. */
const contracts = [
  'LilyToken',
  'ModuleRegistry',
  'JobVault',
  'JobClaims',
  'JobEscrow',
  'StakeVault',
  'Mediation',
  'Jury',
  'Parameters',
  'IdentityRegistry',
  'AgentRegistry',
  'Rewards',
  'LilypadGovernor',
  'ContractDeployer',
  'DepositAddress',
  { name: 'TimelockController', source: 'node_modules/@openzeppelin/contracts/governance/TimelockController.sol' },
].map((entry) => {
  const { name, source = `contracts/src/${entry}.sol` } = typeof entry === 'string' ? { name: entry } : entry
  const file = name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()
  return { name, source, file, variable: name.charAt(0).toLowerCase() + name.slice(1) }
})

// Folders of its own: where tests have been compiled, an artifact can be named after its compiler profile, or be of the other one.
const artifacts = 'contracts/cache/generate/out'
const buildFolders = { FOUNDRY_OUT: artifacts, FOUNDRY_CACHE_PATH: 'contracts/cache/generate/cache' }

function buildContracts() {
  const result = spawnSync(foundryBinary('forge'), ['build', '--quiet', 'contracts/src'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...buildFolders },
  })
  if (result.status === 0) return
  console.error(result.error?.message ?? result.stdout + result.stderr)
  process.exit(1)
}

function readArtifact(name) {
  return JSON.parse(readFileSync(join(root, artifacts, `${name}.sol`, `${name}.json`), 'utf8'))
}

/** The ABI with the parameter names of the interface, which a contract that passes calls on leaves out. */
function readAbi({ name }, artifact) {
  const signature = ({ type, name, inputs = [] }) => `${type} ${name}(${inputs.map((input) => input.type).join()})`
  const path = join(root, artifacts, `I${name}.sol`, `I${name}.json`)
  const declared = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).abi : []
  const named = new Map(declared.map((entry) => [signature(entry), entry]))
  return artifact.abi.map((entry) => named.get(signature(entry)) ?? entry)
}

/** One line per ABI entry, so that a review shows what changed. */
function renderModule(contract, artifact) {
  const { variable, source } = contract
  const entries = readAbi(contract, artifact).map((entry) => `  ${JSON.stringify(entry)},`)
  return [
    `// Generated from ${source} by tools/generate.mjs; not edited by hand.`,
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

function renderIndex() {
  const lines = contracts.map(
    ({ file, variable }) => `export { ${variable}Abi, ${variable}Bytecode } from './generated/${file}.ts'`,
  )
  return `${lines.toSorted().join('\n')}\n`
}

function renderFiles() {
  const index = { path: 'packages/abi/src/index.ts', text: renderIndex() }
  const files = contracts.flatMap((contract) => {
    const artifact = readArtifact(contract.name)
    return [
      { path: `packages/abi/src/generated/${contract.file}.ts`, text: renderModule(contract, artifact) },
      { path: `contracts/test/layout/${contract.name}.json`, text: renderLayout(artifact) },
    ]
  })
  return [index, ...files]
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
