#!/usr/bin/env node
// A copy of the contracts and their tests that the compiler's plain pipeline takes, without optimizer and intermediate representation.
//   node tools/shallow-contracts.mjs <new folder>      then, in there: FOUNDRY_PROFILE=shallow forge …
// `shallow-contracts.patch` moves local variables into blocks and functions where the stack would be too deep, and changes nothing else.
// When it no longer applies, or a change makes another stack too deep: edit such a copy and take `diff -ru` of the two `contracts/src`.
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

const root = dirname(import.meta.dirname)
const sources = [
  'foundry.toml',
  'contracts/src',
  'contracts/test',
  'node_modules/solady/src',
  'node_modules/@openzeppelin/contracts',
  'node_modules/@layerzerolabs/toolbox-foundry/lib/forge-std',
]

/** Makes the copy in `folder`, which must not exist. */
export function copyShallowContracts(folder) {
  mkdirSync(folder)
  for (const source of sources) cpSync(join(root, source), join(folder, source), { recursive: true })
  // The proofs read the optimized vault.
  rmSync(join(folder, 'contracts/test/symbolic'), { recursive: true })
  symlinkSync(join(root, 'tools'), join(folder, 'tools'))
  const patch = join(root, 'tools/shallow-contracts.patch')
  const result = spawnSync('git', ['apply', patch], { cwd: folder, encoding: 'utf8' })
  if (result.status !== 0) throw new Error(`${patch} does not apply; see ${import.meta.filename}.\n${result.stderr}`)
}

if (import.meta.filename === process.argv[1]) copyShallowContracts(resolve(process.argv[2]))
