import { createRequire } from 'node:module'
import { arch, platform } from 'node:process'
import { LilypadError } from '@lilypad-agents/protocol'
import { type Child, startChild } from './child-process.ts'
import { keepWholeCopy } from './whole-copy.ts'

const architectures: { readonly [node: string]: string } = { x64: 'amd64', arm64: 'arm64' }

/** Path of the anvil binary that came with the package. */
export function anvilBinary(): string {
  const require = createRequire(import.meta.url)
  const file = platform === 'win32' ? 'anvil.exe' : 'anvil'
  const path = `@foundry-rs/anvil-${platform}-${architectures[arch] ?? arch}/bin/${file}`
  try {
    return createRequire(require.resolve('@foundry-rs/anvil/package.json')).resolve(path)
  } catch (error) {
    throw new LilypadError('CONFIG_INVALID', `There is no anvil for ${platform} on ${arch}.`, {
      hint: 'run a chain yourself and name it with --rpc-url',
      cause: error,
    })
  }
}

/** First of anvil's well-known development accounts; it has ether on every anvil and on no real chain. */
export const developmentKey = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'

/** Whether an Ethereum node answers at this address. */
export async function answersRpc(url: string): Promise<boolean> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_chainId', params: [] }),
    signal: AbortSignal.timeout(2000),
  })
  return response.ok
}

/** Starts anvil on loopback. With a state file it goes on where it stopped. */
export async function startAnvil(options: {
  readonly port: number
  readonly logFile: string
  readonly pidFile?: string
  readonly stateFile?: string
  readonly chainId?: number
}): Promise<Child> {
  const { port, logFile, pidFile, stateFile, chainId = 31_337 } = options
  const url = `http://127.0.0.1:${port}`
  const copy = stateFile === undefined ? undefined : keepWholeCopy(stateFile)
  const child = await startChild({
    name: 'local chain',
    command: anvilBinary(),
    args: [
      '--host',
      '127.0.0.1',
      '--port',
      String(port),
      '--chain-id',
      String(chainId),
      '--quiet',
      // Without this any web page could move the money of this chain from the user's browser.
      '--no-cors',
      ...(stateFile ? ['--state', stateFile, '--state-interval', '1'] : []),
    ],
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' },
    logFile,
    ...(pidFile ? { pidFile } : {}),
    ...(copy ? { beforeStart: copy.restore } : {}),
    isReady: () => answersRpc(url),
  }).catch((error: unknown) => {
    copy?.stop()
    throw error
  })
  return {
    ...child,
    async close() {
      copy?.stop()
      await child.close()
    },
  }
}
