// Starts a network and has the MCP Inspector drive the server against it; ends with the Inspector script's exit code.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startTestNetwork } from '../src/test-network.ts'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))

const network = await startTestNetwork({ modules: [path('../../../examples/modules/tts')] })
try {
  const inspector = spawn(process.execPath, [path('../../../servers/mcp/test/inspector.slow.mjs')], {
    env: {
      ...process.env,
      LILYPAD_NETWORK_FILE: network.state.networkFile,
      LILYPAD_KEY_FILE: network.state.keyFile('session'),
      LILYPAD_GRANT_FILE: network.state.grantFile,
      LILYPAD_STATE_DIR: network.state.directory('inspector'),
    },
    stdio: 'inherit',
  })
  const [code] = await once(inspector, 'exit')
  process.exitCode = code ?? 1
} finally {
  await network.close()
}
