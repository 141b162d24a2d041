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

// `forge lint` compiles without bytecode and marks its artifacts as fresh: in the shared folder the next `forge test` would leave out
// every test it had touched, and still exit 0.
const lintFolders = { FOUNDRY_OUT: 'contracts/cache/lint/out', FOUNDRY_CACHE_PATH: 'contracts/cache/lint/cache' }

if (import.meta.filename === process.argv[1]) {
  const [tool, ...args] = process.argv.slice(2)
  const env = tool === 'forge' && args[0] === 'lint' ? { ...process.env, ...lintFolders } : process.env
  const result = spawnSync(foundryBinary(tool), args, { stdio: 'inherit', env })
  if (result.error) console.error(`${tool} could not start: ${result.error.message}`)
  process.exit(result.status ?? 1)
}
