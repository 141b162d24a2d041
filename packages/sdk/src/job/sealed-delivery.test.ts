import { type JobInputs, jobOrderType, recipientInput, sha256, type Signer } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { createStoredJob } from '../../test/describe-client-store.ts'
import { createSampleBundle, sampleDomain, sampleSigners } from '../../test/sample-bundle.ts'
import { sampleContracts } from '../chain/network.ts'
import { deriveOutputIdentity, sealStream } from '../sealing/seal.ts'
import { memoryStore } from '../store/memory-store.ts'
import { createLilypad, type Output } from './create-lilypad.ts'

const { session: signer, provider } = sampleSigners
const network = {
  name: 'sealed',
  chainId: sampleDomain.chainId,
  rpcUrl: 'http://127.0.0.1:9',
  solverUrl: 'http://solver.invalid',
  contracts: { ...sampleContracts(`0x${'70'.repeat(20)}`), jobVault: sampleDomain.vault },
}
const json = (value: unknown) =>
  new Response(JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item)))

async function sealTo(owner: Signer, text: string): Promise<Uint8Array> {
  const { recipient } = await deriveOutputIdentity(owner)
  const plain = new Blob([text]).stream()
  const sealed = (await sealStream(recipient, plain)) as ReadableStream<Uint8Array<ArrayBuffer>>
  return new Uint8Array(await new Response(sealed).arrayBuffer())
}

/** A job that asks for sealed outputs, of which an honest relay shows a delivery that its provider has signed. */
async function openJob(output: Uint8Array) {
  const { recipient } = await deriveOutputIdentity(signer)
  const inputs: JobInputs = { ...createSampleBundle().inputs, [recipientInput]: recipient }
  const files = ['out.txt', 'pages/1.txt'].map((path) => ({ path, bytes: output.length, sha256: sha256(output) }))
  const bundle = createSampleBundle({ inputs, outputs: files })
  const { order, signature } = bundle.order
  const orderHash = jobOrderType.hash(sampleDomain, order)
  const { reservation, delivery, grant, ask } = bundle
  const store = memoryStore()
  const job = createStoredJob(1, { orderHash, order, signature, inputs, ask, grant, state: 'running' })
  await store.transaction((transaction) => transaction.putJob(job))
  const acknowledged: unknown[] = []
  const lilypad = createLilypad({
    network,
    store,
    signer,
    ...(grant ? { grant } : {}),
    now: () => new Date(1_799_999_900_000),
    fetch: async (url, request = {}) => {
      const { pathname } = new URL(String(url))
      if (pathname.includes('/outputs/')) return new Response(output.slice())
      if (pathname.endsWith('/acknowledgement')) acknowledged.push(request.body)
      const state = acknowledged.length > 0 ? 'acknowledged' : 'delivered'
      const rest = { missingInputs: [], progress: null, settlement: null, reason: null, createdAt: 1, updatedAt: 1 }
      return json({ orderHash, state, order, reservation, delivery, ...rest })
    },
  })
  return { lilypad, orderHash, acknowledged }
}

test('what is sealed to the client is opened, verified and paid', async () => {
  const { lilypad, orderHash, acknowledged } = await openJob(await sealTo(signer, 'ribbit'))
  const { outputs, verification } = await lilypad.complete(orderHash)
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(new TextDecoder().decode(await outputs[0]?.read())).toBe('ribbit')
  expect(acknowledged).toHaveLength(1)
})

test.each<[string, () => Promise<Uint8Array>]>([
  ['in the clear, though the order asked for a seal', async () => new TextEncoder().encode('ribbit')],
  ['sealed to somebody else', () => sealTo(provider, 'ribbit')],
  ['cut before it was signed', async () => (await sealTo(signer, 'ribbit')).slice(0, -1)],
])('what is delivered %s is not paid', async (_name, output) => {
  const { lilypad, orderHash, acknowledged } = await openJob(await output())
  const failure = await lilypad.complete(orderHash).catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'VERIFICATION_FAILED' })
  expect(String(failure)).toContain('output out.txt is sealed')
  expect(acknowledged).toEqual([])
})

test('what verifies and is not accepted is not paid, then or when open jobs are taken up', async () => {
  const { lilypad, orderHash, acknowledged } = await openJob(await sealTo(signer, 'ribbit'))
  const accept = async ([output]: readonly Output[]) => {
    expect(new TextDecoder().decode(await output?.read())).toBe('ribbit')
    throw new TypeError('no reply')
  }
  await expect(lilypad.complete(orderHash, { accept })).rejects.toThrow('no reply')
  await lilypad.resume()
  expect(acknowledged).toEqual([])
  expect(await lilypad.getStoredJob(orderHash)).toMatchObject({ verified: false, price: null })
})
