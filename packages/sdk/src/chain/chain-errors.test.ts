import { createServer, type Server } from 'node:http'
import * as generated from '@lilypad-agents/abi'
import { LilypadError } from '@lilypad-agents/protocol'
import { type Abi, type AbiParameter, encodeErrorResult, toFunctionSelector } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { getAccount } from '../vault/vault-reads.ts'
import { assertChain } from './assert-chain.ts'
import { ContractRevertedError, translateChainErrors } from './chain-errors.ts'
import { contractErrors } from './contract-errors.ts'
import { type ChainClient, createChainClient, toLilypadChain } from './lilypad-chain.ts'
import { sampleContracts } from './network.ts'
import { findRevertKind, revertHints } from './revert-advice.ts'

// An RPC endpoint on a real socket that answers as a node does when a call reverts, or as no node should.
type Answer =
  | { readonly result?: unknown; readonly error?: { code: number; message: string; data?: string } }
  | 'hang up'
  | 'page'
let answer: (method: string) => Answer = () => ({ result: '0x' })
let server: Server
let client: ChainClient
const contract = `0x${'0c'.repeat(20)}` as const
const contracts = sampleContracts(contract)

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { id, method } = JSON.parse(body) as { id: number; method: string }
    const given = answer(method)
    if (given === 'hang up') return void request.socket.destroy()
    if (given === 'page') return void response.writeHead(502).end('<html>')
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id, ...given }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const rpcUrl = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  const network = { name: 'test', chainId: 31_337, rpcUrl, solverUrl: 'http://127.0.0.1:1', contracts }
  client = createChainClient({ chain: toLilypadChain(network), timeoutMilliseconds: 2000 })
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

function sampleValue({ type }: AbiParameter): unknown {
  if (type === 'address') return contract
  if (type === 'bool') return true
  if (type === 'string') return 'text'
  if (type === 'bytes') return '0x0102'
  if (type.startsWith('bytes')) return `0x${'ab'.repeat(Number(type.slice(5)))}`
  return /^u?int(8|16|32|40|48)$/.test(type) ? 7 : 7n
}

const abis: Record<string, Abi> = Object.fromEntries(
  Object.entries(generated).flatMap(([name, abi]) => (typeof abi === 'string' ? [] : [[name, abi as Abi]])),
)
const customErrors = Object.entries(abis).flatMap(([name, abi]) =>
  abi.flatMap((item) => (item.type === 'error' ? [{ name, abi, error: item }] : [])),
)

describe('a revert comes back by its own name', () => {
  test('there are custom errors in every ABI, of all sixteen contracts but one that passes on those of the vault', () => {
    expect(Object.keys(abis)).toHaveLength(16)
    const without = Object.keys(abis).filter((name) => !customErrors.some((each) => each.name === name))
    expect(without).toEqual(['depositAddressAbi'])
  })

  test.each(customErrors)('$name: $error.name', async ({ abi, error }) => {
    const args = error.inputs.map(sampleValue)
    const data = encodeErrorResult({ abi, errorName: error.name, args })
    answer = () => ({ error: { code: 3, message: 'execution reverted', data } })
    const view = abi.find(
      (item) =>
        item.type === 'function' &&
        item.stateMutability === 'view' &&
        !item.inputs.some(({ type }) => type.endsWith(']')),
    )
    if (view?.type !== 'function') throw new TypeError('the contract has a view')
    const thrown = await translateChainErrors(view.name, () =>
      client.readContract({ address: contract, abi, functionName: view.name, args: view.inputs.map(sampleArgument) }),
    ).catch((cause: unknown) => cause)
    expect(thrown).toBeInstanceOf(ContractRevertedError)
    expect(thrown).toMatchObject({
      code: 'CONTRACT_REVERTED',
      errorName: error.name,
      charged: 'none',
      retryable: false,
      kind: expect.toBeOneOf(Object.keys(revertHints)),
      hint: revertHints[findRevertKind(error.name) ?? 'setup'],
    })
    expect(String(thrown)).toContain(`refused \`${view.name}\`: ${error.name}.`)
    if (args.length > 0) expect(String(thrown)).toContain('Arguments: ')
  })

  test('a refused claim is named by its reason', async () => {
    const abi = generated.jobClaimsAbi
    const reason = toFunctionSelector('LockStakeTooLow()')
    const data = encodeErrorResult({ abi, errorName: 'ClaimRefused', args: [`0x${'11'.repeat(32)}`, reason] })
    answer = () => ({ error: { code: 3, message: 'execution reverted', data } })
    const thrown = await translateChainErrors('claim', () =>
      client.readContract({ address: contract, abi, functionName: 'jobVault' }),
    ).catch((cause: unknown) => cause)
    expect(thrown).toMatchObject({ errorName: 'LockStakeTooLow', kind: 'funds', hint: revertHints.funds })
  })

  const sampleArgument = (parameter: AbiParameter): unknown =>
    'components' in parameter
      ? Object.fromEntries((parameter.components as AbiParameter[]).map((each) => [each.name, sampleValue(each)]))
      : sampleValue(parameter)

  test.each(contractErrors.flatMap((item) => (item.type === 'error' ? [item.name] : [])))(
    '%s says what to do',
    (name) => expect(findRevertKind(name), `a rule for ${name} in revert-advice.ts`).toBeDefined(),
  )

  test.each([
    ['StakeBelowMinimum', 'funds'],
    ['CaseNotFinal', 'wait'],
    ['CaseTooLate', 'tooLate'],
    ['CaseExists', 'done'],
    ['LockStatusInvalid', 'state'],
    ['ParameterOutOfBounds', 'limit'],
    ['VaultCallerInvalid', 'forbidden'],
    ['LaneSignatureInvalid', 'signature'],
    ['ModuleUnknown', 'unknown'],
    ['TransferFromFailed', 'token'],
  ] as const)('%s: %s', (name, kind) => expect(findRevertKind(name)).toBe(kind))

  test('one that no ABI knows comes back by its selector', async () => {
    answer = () => ({ error: { code: 3, message: 'execution reverted', data: '0xdeadbeef' } })
    await expect(getAccount(client, { payer: contract, token: contract })).rejects.toMatchObject({
      code: 'CONTRACT_REVERTED',
      errorName: '0xdeadbeef',
    })
  })
})

describe('an endpoint that does not help', () => {
  test.each<[string, Answer, string]>([
    ['hangs up', 'hang up', 'RPC_UNREACHABLE'],
    ['is a gateway', 'page', 'RPC_UNREACHABLE'],
    ['has nothing at the address', { result: '0x' }, 'WRONG_CHAIN'],
    ['breaks inside', { error: { code: -32_603, message: 'internal secret' } }, 'RPC_UNREACHABLE'],
  ])('%s', async (_, given, code) => {
    answer = () => given
    const thrown = await getAccount(client, { payer: contract, token: contract }).catch((cause: unknown) => cause)
    expect(thrown).toMatchObject({ code, charged: 'none' })
    expect(String(thrown)).not.toContain('secret')
  })

  test('is not there', async () => {
    const network = {
      name: 'test',
      chainId: 31_337,
      rpcUrl: 'http://127.0.0.1:1',
      solverUrl: 'http://127.0.0.1:1',
      contracts,
    }
    const gone = createChainClient({ chain: toLilypadChain(network), timeoutMilliseconds: 500 })
    await expect(assertChain(gone)).rejects.toMatchObject({ code: 'RPC_UNREACHABLE', retryable: true })
  })

  test('serves another chain', async () => {
    answer = () => ({ result: '0x1' })
    await expect(assertChain(client)).rejects.toMatchObject({
      code: 'WRONG_CHAIN',
      details: ['Expected: 31337   Actual: 1'],
    })
    answer = () => ({ result: '0x7a69' })
    await expect(assertChain(client)).resolves.toBeUndefined()
  })
})

test('what is not of the chain passes through as it is', async () => {
  const own = new LilypadError('READ_ONLY', 'x')
  const bug = new RangeError('bug')
  for (const error of [own, bug])
    await expect(translateChainErrors('x', () => Promise.reject(error))).rejects.toBe(error)
})
