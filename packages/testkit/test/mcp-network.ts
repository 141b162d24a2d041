import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, expect } from 'vitest'
import { type Answer, callTool } from '../../../servers/mcp/test/clients.ts'
import { type ProgramName, writeModuleFolders } from '../slow/lane/programs.ts'
import type { TestNetwork } from '../src/index.ts'

/** What the tests of one file share. The network is there from `beforeAll` on. */
export type McpNetwork = {
  readonly scratch: string
  readonly network: TestNetwork
  /** A state folder that nobody has used. */
  freshFolder(): string
  /** Settings of an MCP server with the session key and its grant. */
  settings(stateDirectory: string, ...more: readonly string[]): string[]
  /** The same for a server that spends without asking a person. */
  trusting(stateDirectory: string, ...more: readonly string[]): string[]
}

/**
 * Starts a network before the tests of a file, and ends it with its scratch folder after them.
 * @param programs which modules of the lane it offers, as `lane-<program>`
 * @param writeMore writes further modules below a folder and gives theirs
 */
export function useMcpNetwork(
  programs: readonly ProgramName[],
  writeMore: (folder: string) => Promise<readonly string[]> = async () => [],
): McpNetwork {
  const scratch = mkdtempSync(join(tmpdir(), 'lilypad-mcp-network-'))
  let network: TestNetwork | undefined
  let folders = 0

  beforeAll(async () => {
    const modules = [...(await writeModuleFolders(scratch, programs)), ...(await writeMore(scratch))]
    // The network hands its own flags on to its servers; those of the test runner are not for them.
    process.execArgv = ['--conditions=source']
    const { startTestNetwork } = await import('../src/index.ts')
    network = await startTestNetwork({ modules })
  })
  afterAll(async () => {
    await network?.close()
    rmSync(scratch, { recursive: true, force: true })
  })

  const getNetwork = (): TestNetwork => {
    if (!network) throw new TypeError('the network starts before the first test')
    return network
  }
  const settings: McpNetwork['settings'] = (stateDirectory, ...more) => {
    const { networkFile, grantFile, keyFile } = getNetwork().state
    return [
      ...['--network', networkFile, '--key-file', keyFile('session')],
      ...['--grant-file', grantFile, '--state-dir', stateDirectory, ...more],
    ]
  }
  return {
    scratch,
    get network() {
      return getNetwork()
    },
    freshFolder: () => join(scratch, `state-${folders++}`),
    settings,
    trusting: (stateDirectory, ...more) => settings(stateDirectory, '--approval', 'host', ...more),
  }
}

/** Calls a tool that must not fail. */
export async function call(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<Answer['structuredContent']> {
  const { isError, structuredContent } = await callTool(client, name, args)
  expect(isError, JSON.stringify(structuredContent)).toBeUndefined()
  return structuredContent
}
