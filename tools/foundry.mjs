// Calls Foundry's platform binary: the launcher that npm installs exits 0 even when tests fail.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch]

/** Path of the platform binary of `forge`, `anvil` or `cast`. */
export function foundryBinary(tool) {
  const name = `@foundry-rs/${tool}-${process.platform}-${architecture}`
  const file = process.platform === 'win32' ? `${tool}.exe` : tool
  try {
    return require.resolve(`${name}/bin/${file}`)
  } catch {
    return require.resolve(`${name}/bin/${file}`, { paths: [require.resolve(`@foundry-rs/${tool}/package.json`)] })
  }
}

if (import.meta.filename === process.argv[1]) {
  const [tool, ...args] = process.argv.slice(2)
  const result = spawnSync(foundryBinary(tool), args, { stdio: 'inherit' })
  if (result.error) console.error(`${tool} could not start: ${result.error.message}`)
  process.exit(result.status ?? 1)
}
