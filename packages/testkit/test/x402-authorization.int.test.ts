import { createSigner, type Hex, keccak256 } from '@lilypad-agents/protocol'
import { sendCallSync, transferCall } from '@lilypad-agents/sdk'
import {
  findAuthorizedTransfer,
  findAuthorizer,
  getTokenDomain,
  isAuthorizationUsed,
  settleAuthorization,
  signAuthorization,
  type TokenDomain,
  toSignerAccount,
  type TransferAuthorization,
} from '@lilypad-agents/sdk/x402'
import { parseAbi, parseTransaction, recoverTransactionAddress, type TransactionSerialized } from 'viem'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type Actor, startTestChain, type TestChain } from '../src/index.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 120_000 })

let chain: TestChain
let payer: Actor
let domain: TokenDomain
let count = 0
const receiver = createSigner(keccak256('receiver')).address
const other = createSigner(keccak256('other')).address

beforeAll(async () => {
  chain = await startTestChain()
  payer = await chain.createActor()
  domain = await getTokenDomain(chain.deployer, token())
  await sendCallSync(chain.deployer, transferCall({ token: token(), to: payer.signer.address, amount: 1000n }))
})
afterAll(() => chain?.close())

const token = () => chain.network.contracts.lilyToken
const authorize = (change: Partial<TransferAuthorization> = {}): TransferAuthorization => ({
  from: payer.signer.address,
  to: receiver,
  value: 100n,
  validAfter: 0n,
  validBefore: 2n ** 39n,
  nonce: keccak256(`nonce ${count++}`),
  ...change,
})
const sign = (authorization: TransferAuthorization) => signAuthorization(payer.signer, domain, authorization)
const find = (authorization: TransferAuthorization) =>
  findAuthorizedTransfer(chain.deployer, { token: token(), authorization, fromBlock: 0n })

test('a signed transfer is made once, by anyone, and found', async () => {
  const authorization = authorize()
  const signature = sign(authorization)
  expect(findAuthorizer(domain, authorization, signature)).toBe(payer.signer.address)
  expect(await find(authorization)).toBeUndefined()
  expect(await isAuthorizationUsed(chain.deployer, { token: token(), ...authorization })).toBe(false)
  const transaction = await settleAuthorization(chain.deployer, { token: token(), authorization, signature })
  expect(await find(authorization)).toMatchObject({ transaction })
  expect(await isAuthorizationUsed(chain.deployer, { token: token(), ...authorization })).toBe(true)
  await expect(settleAuthorization(chain.deployer, { token: token(), authorization, signature })).rejects.toMatchObject(
    {
      code: 'CONTRACT_REVERTED',
    },
  )
})

test('another transfer with the same nonce is not taken for it', async () => {
  const wanted = authorize()
  for (const change of [{ to: other }, { value: 1n }] as const) {
    const made = authorize({ ...change, nonce: keccak256(`double ${Object.keys(change)}`) })
    await settleAuthorization(chain.deployer, { token: token(), authorization: made, signature: sign(made) })
    expect(await find({ ...wanted, nonce: made.nonce })).toBeUndefined()
    expect(await find(made)).toBeDefined()
  }
})

test('a cancelled one is used and was not made', async () => {
  const authorization = authorize()
  const { address } = payer.signer
  const signature = await toSignerAccount(payer.signer).signTypedData({
    domain,
    types: {
      CancelAuthorization: [
        { name: 'authorizer', type: 'address' },
        { name: 'nonce', type: 'bytes32' },
      ],
    },
    primaryType: 'CancelAuthorization',
    message: { authorizer: address, nonce: authorization.nonce },
  })
  await sendCallSync(chain.deployer, {
    address: token(),
    abi: parseAbi(['function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s)']),
    functionName: 'cancelAuthorization',
    args: [
      address,
      authorization.nonce,
      Number(`0x${signature.slice(130)}`),
      signature.slice(0, 66),
      `0x${signature.slice(66, 130)}`,
    ],
  })
  expect(await isAuthorizationUsed(chain.deployer, { token: token(), ...authorization })).toBe(true)
  expect(await find(authorization)).toBeUndefined()
})

test('a signature of other terms, another token or another chain is of nobody here', () => {
  const authorization = authorize()
  const signature = sign(authorization)
  const finds = [
    findAuthorizer(domain, { ...authorization, value: 101n }, signature),
    findAuthorizer(domain, { ...authorization, to: other }, signature),
    findAuthorizer({ ...domain, chainId: 1 }, authorization, signature),
    findAuthorizer({ ...domain, verifyingContract: other }, authorization, signature),
    findAuthorizer(domain, authorization, `${signature.slice(0, 130)}00` as Hex),
  ]
  for (const found of finds) expect(found).not.toBe(payer.signer.address)
})

test.each(['eip1559', 'legacy'] as const)('transactions of kind %s that a signer signs are its own', async (type) => {
  const account = toSignerAccount(payer.signer)
  const fee = type === 'eip1559' ? { maxFeePerGas: 7n, maxPriorityFeePerGas: 1n } : { gasPrice: 7n }
  const serialized = (await account.signTransaction({
    type,
    chainId: 31_337,
    nonce: 3,
    gas: 21_000n,
    to: other,
    value: 1n,
    ...fee,
  } as never)) as TransactionSerialized
  expect((await recoverTransactionAddress({ serializedTransaction: serialized })).toLowerCase()).toBe(
    payer.signer.address,
  )
  expect(parseTransaction(serialized)).toMatchObject({ nonce: 3, value: 1n, chainId: 31_337 })
})
