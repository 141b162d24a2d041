import { createSigner, type JobOrder, type SignedStep, sha256, zeroBytes32 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { RunSteps } from './run-steps.ts'

const address = `0x${'1'.repeat(40)}` as const
const order: JobOrder = {
  ...{ payer: address, key: address, moduleVersion: zeroBytes32, inputsDigest: zeroBytes32, askHash: zeroBytes32 },
  ...{ provider: address, solver: address, token: address, maxPrice: 100n, lane: 0, nonce: 0, startBy: 0 },
  ...{ deliverBy: 0, verification: 0, auditCommit: zeroBytes32 },
}
const word = new TextEncoder().encode('data: {"choices":[{"delta":{"content":"a"}}]}\n')
const stream = { position: { attempt: 1, chunks: 1, bytes: 1, head: sha256('head') }, write: () => undefined }

function open() {
  const sent: SignedStep[] = []
  const run = new RunSteps({
    ...{ domain: { chainId: 1, vault: address }, signer: createSigner(`0x${'1'.repeat(64)}`), order, paidSeconds: 9 },
    terms: { units: (counted) => counted, price: ({ outputUnits }) => BigInt(outputUnits) },
    ...{ mostPrice: 100n, pricePerOutputUnit: 1n, policy: { stepPrice: 1n, maxAhead: 2 }, acknowledgedPrice: 0n },
    send: (step) => sent.push(step),
    onSilence: () => {},
  })
  return { run, prices: () => sent.map(({ step }) => step.price) }
}

test('nothing is signed or held up for a requester that did not ask', () => {
  const { run, prices } = open()
  for (let words = 0; words < 9; words++) expect(run.write(word, stream)).toBeUndefined()
  expect(prices()).toEqual([])
})

test('more than two steps ahead is held up until they are acknowledged', async () => {
  const { run, prices } = open()
  run.ask()
  expect([run.write(word, stream), run.write(word, stream)]).toEqual([undefined, undefined])
  const held = run.write(word, stream)
  expect(prices()).toEqual([1n, 2n, 3n])
  run.sendAgain()
  expect(prices()).toEqual([1n, 2n, 3n, 3n])
  run.acknowledge(2n)
  await held
  expect(run.write(word, stream)).toBeUndefined()
})

test('a cancelled reply goes on once, to be ended where it stands, and not each time that it is cancelled', async () => {
  const { run } = open()
  run.ask()
  run.write(word, stream)
  run.write(word, stream)
  const held = run.write(word, stream)
  run.release()
  await held
  const heldAgain = run.write(word, stream)
  run.release()
  expect(await Promise.race([heldAgain, new Promise((resolve) => setTimeout(() => resolve('held'), 50))])).toBe('held')
  run.close()
  await heldAgain
})
