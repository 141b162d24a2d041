import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner, type NetworkInfo, zeroAddress } from '@lilypad-agents/protocol'
import { getAccount, sendCallSync, transferCall } from '@lilypad-agents/sdk'
import { startTestChain, type TestChain } from '@lilypad-agents/testkit'
import { createTestClient, http, parseEther } from 'viem'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { changeGuardian, moveWallet } from '../src/commands/wallet.ts'
import { openStateDirectory, type StateDirectory } from '../src/local/state-directory.ts'
import type { Printer } from '../src/output/printer.ts'

const lily = 10n ** 18n
const solver = `0x${'5'.repeat(40)}` as const
const other = `0x${'6'.repeat(40)}` as const
let chain: TestChain
let server: Server
let folder: string
let state: StateDirectory
/** What the solver of the network file says about itself. */
let info: NetworkInfo
const printed: { value: unknown; lines: readonly string[] }[] = []
const printer: Printer = {
  isJson: false,
  result: (value, lines) => void printed.push({ value, lines }),
  step: () => {},
  progress: () => {},
  note: () => {},
  echo: () => {},
}

beforeAll(async () => {
  chain = await startTestChain()
  const { chainId, contracts, rpcUrl } = chain.network
  const { jobVault, moduleRegistry, lilyToken } = contracts
  info = { apiVersion: 1, chainId, solver, jobVault, moduleRegistry, lilyToken, providersConnected: 0 }
  server = createServer((_, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(info)),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  folder = mkdtempSync(join(tmpdir(), 'lilypad-wallet-'))
  state = openStateDirectory(folder)
  const solverUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const payer = createSigner(state.key('requester')).address
  writeFileSync(state.networkFile, JSON.stringify({ ...chain.network, solverUrl }))
  await createTestClient({ mode: 'anvil', transport: http(rpcUrl) }).setBalance({
    address: payer,
    value: parseEther('1'),
  })
  await sendCallSync(chain.deployer, transferCall({ token: lilyToken, to: payer, amount: 10n * lily }))
}, 120_000)
afterAll(async () => {
  server?.close()
  await chain?.close()
  rmSync(folder, { recursive: true, force: true })
})

const account = () =>
  getAccount(chain.deployer, {
    payer: createSigner(state.key('requester')).address,
    token: chain.network.contracts.lilyToken,
  })
const deposit = (withoutGuardian: boolean) =>
  moveWallet(state, state.networkFile, { kind: 'deposit', amount: '1', withoutGuardian }, printer)
const change = (move: Parameters<typeof changeGuardian>[2]) => changeGuardian(state, state.networkFile, move, printer)
const lastLines = () => printed.at(-1)?.lines.join('\n')

test('a deposit leaves the account without a guardian when asked to', async () => {
  await deposit(true)
  expect(await account()).toMatchObject({ balance: lily, guardian: zeroAddress })
  expect(lastLines()).toContain('Guardian: none')
})

test('a deposit trusts no solver of another vault', async () => {
  const own = info
  info = { ...own, jobVault: other }
  await expect(deposit(false)).rejects.toMatchObject({ code: 'WRONG_CHAIN' })
  info = own
  expect((await account()).balance).toBe(lily)
})

test('a deposit names the solver of the network as guardian, says so, and keeps it', async () => {
  await deposit(false)
  expect(await account()).toMatchObject({ balance: 2n * lily, guardian: solver })
  expect(lastLines()).toContain(`The solver ${solver} is the guardian of the account now`)
  await deposit(false)
  expect(lastLines()).toContain(`Guardian: ${solver}`)
})

test('another guardian comes after the delay, and none can be put into force before', async () => {
  await change({ kind: 'set', guardian: other })
  expect(lastLines()).toMatch(new RegExp(`${solver}; ${other} from .*--finalize`, 's'))
  await expect(change({ kind: 'finalize' })).rejects.toMatchObject({ errorName: 'GuardianTooEarly' })
  await change({ kind: 'set', guardian: undefined })
  expect(await account()).toMatchObject({ guardian: solver, guardianChangesAt: 0 })
  await change({ kind: 'clear' })
  const client = createTestClient({ mode: 'anvil', transport: http(chain.network.rpcUrl) })
  await client.increaseTime({ seconds: 86_400 })
  await client.mine({ blocks: 1 })
  await change({ kind: 'finalize' })
  expect(await account()).toMatchObject({ guardian: zeroAddress, guardianChangesAt: 0 })
  await change({ kind: 'show' })
  expect(lastLines()).toBe('  Guardian      none')
})
