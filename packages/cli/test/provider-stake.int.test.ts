import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner } from '@lilypad-agents/protocol'
import { readConfig } from '@lilypad-agents/provider'
import { getTokenBalance, sendCallSync, transferCall } from '@lilypad-agents/sdk'
import { startTestChain, type TestChain } from '@lilypad-agents/testkit'
import { type Address, createTestClient, encodeFunctionData, http, parseAbi, parseEther, walletActions } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addProviderStake, moveUnstake, type UnstakeMove } from '../src/commands/provider-stake.ts'
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

const config = () => readConfig({ args: providerArguments(state, {}), environment: {} })
const stake = (amount: bigint) => addProviderStake(config(), amount, printer)
const unstake = (move: UnstakeMove) => moveUnstake(config(), move, printer)

test('without stake none can be asked back', async () => {
  await expect(unstake({ kind: 'request', amount: lily })).rejects.toMatchObject({
    code: 'INSUFFICIENT_BALANCE',
    shortMessage: 'The provider has no stake to ask back.',
  })
})

test('a provider stakes its own LILY, and never a part of what it asked for', async () => {
  await stake(4n * lily)
  expect(printed.at(-1)).toMatchObject({ added: 4n * lily, stake: { active: 4n * lily, free: 4n * lily } })
  await expect(stake(7n * lily)).rejects.toMatchObject({ code: 'INSUFFICIENT_BALANCE' })
  await stake(6n * lily)
  expect(printed.at(-1)).toMatchObject({ stake: { active: 10n * lily } })
})

test('stake comes back after its delay, whole, and not a moment earlier', async () => {
  await expect(unstake({ kind: 'finalize' })).rejects.toMatchObject({ code: 'INVALID_REQUEST' })
  await expect(unstake({ kind: 'request', amount: 11n * lily })).rejects.toMatchObject({ code: 'INSUFFICIENT_BALANCE' })
  await unstake({ kind: 'request', amount: 9n * lily })
  await unstake({ kind: 'cancel' })
  expect(printed.at(-1)).toMatchObject({ stake: { active: 10n * lily, unbonding: 0n } })
  await unstake({ kind: 'request', amount: 6n * lily })
  expect(printed.at(-1)).toMatchObject({ stake: { active: 4n * lily, free: 4n * lily, unbonding: 6n * lily } })
  await expect(unstake({ kind: 'finalize' })).rejects.toThrow('cannot leave yet')
  const client = createTestClient({ mode: 'anvil', transport: http(chain.network.rpcUrl) })
  await client.increaseTime({ seconds: 30 * 86_400 })
  await client.mine({ blocks: 1 })
  await unstake({ kind: 'finalize' })
  expect(printed.at(-1)).toMatchObject({ stake: { active: 4n * lily, unbonding: 0n } })
  const account = createSigner(state.key('provider')).address
  const token = chain.network.contracts.lilyToken
  expect(await getTokenBalance(chain.deployer, { account, token })).toBe(6n * lily)
})

test('of stake that was slashed below what jobs bind, at most nothing can be asked back', async () => {
  const { stakeVault, jobClaims, mediation, lilyToken } = chain.network.contracts
  const provider = createSigner(state.key('provider')).address
  const client = createTestClient({ mode: 'anvil', transport: http(chain.network.rpcUrl) }).extend(walletActions)
  const callAs = async (account: Address, data: `0x${string}`) => {
    await client.impersonateAccount({ address: account })
    await client.setBalance({ address: account, value: parseEther('1') })
    await client.sendTransaction({ account, chain: null, to: stakeVault, data })
    await client.mine({ blocks: 1 })
  }
  const abi = parseAbi([
    'function holdExposure(uint8 role, address account, address token, uint256 exposure, uint256 minimumStake)',
    'function slash(uint8 role, address account, address token, uint256 amount, address[] recipients, uint256[] amounts)',
  ])
  const bound = [0, provider, lilyToken, 4n * lily, 0n] as const
  await callAs(jobClaims, encodeFunctionData({ abi, functionName: 'holdExposure', args: bound }))
  const lost = [0, provider, lilyToken, 3n * lily, [mediation], [3n * lily]] as const
  await callAs(mediation, encodeFunctionData({ abi, functionName: 'slash', args: lost }))
  await expect(unstake({ kind: 'request', amount: lily })).rejects.toMatchObject({
    code: 'INSUFFICIENT_BALANCE',
    details: ['Wanted: 1 LILY   At most: 0 LILY   Bound by jobs: 4 LILY'],
  })
})
