import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner } from '@lilypad-agents/protocol'
import { readConfig } from '@lilypad-agents/provider'
import { sendCallSync, transferCall } from '@lilypad-agents/sdk'
import { startTestChain, type TestChain } from '@lilypad-agents/testkit'
import { createTestClient, http, parseEther } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addProviderStake } from '../src/commands/provider-money.ts'
import { providerArguments } from '../src/commands/provider-settings.ts'
import { openStateDirectory, type StateDirectory } from '../src/local/state-directory.ts'
import type { Printer } from '../src/output/printer.ts'

const lily = 10n ** 18n
let chain: TestChain
let state: StateDirectory
const printed: unknown[] = []
const printer: Printer = {
  isJson: false,
  result: (value) => void printed.push(value),
  step: () => {},
  progress: () => {},
  note: () => {},
  echo: () => {},
}

beforeAll(async () => {
  chain = await startTestChain()
  state = openStateDirectory(mkdtempSync(join(tmpdir(), 'lilypad-stake-')))
  writeFileSync(state.networkFile, JSON.stringify(chain.network))
  const { address } = createSigner(state.key('provider'))
  const client = createTestClient({ mode: 'anvil', transport: http(chain.network.rpcUrl) })
  await client.setBalance({ address, value: parseEther('1') })
  const token = chain.network.contracts.lilyToken
  await sendCallSync(chain.deployer, transferCall({ token, to: address, amount: 10n * lily }))
}, 120_000)
afterAll(async () => {
  await chain?.close()
  rmSync(state.path, { recursive: true, force: true })
})

const stake = (amount: bigint) =>
  addProviderStake(readConfig({ args: providerArguments(state, {}), environment: {} }), amount, printer)

test('a provider stakes its own LILY, and never a part of what it asked for', async () => {
  await stake(4n * lily)
  expect(printed.at(-1)).toMatchObject({ added: 4n * lily, stake: { active: 4n * lily, free: 4n * lily } })
  await expect(stake(7n * lily)).rejects.toMatchObject({ code: 'INSUFFICIENT_BALANCE' })
  await stake(6n * lily)
  expect(printed.at(-1)).toMatchObject({ stake: { active: 10n * lily } })
})
