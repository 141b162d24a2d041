import {
  createSigner,
  firstStepLane,
  type JobOrder,
  type SignedStep,
  sha256,
  streamStart,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { chatRequest, serverManifest } from '../../fixtures/server-manifest.ts'
import { Journal } from '../journal/journal.ts'
import { StepDesk } from './step-desk.ts'

const address = `0x${'1'.repeat(40)}` as const
const signature = `0x${'11'.repeat(65)}` as const
const perWord = 7n
const maxWords = 256
const { manifest, moduleVersion } = serverManifest()
const inputs = { request: chatRequest('frog', { stream: true, max_tokens: maxWords }) }
const parties = { payer: address, key: address, provider: address, solver: address, token: address }
const word = new TextEncoder().encode('data: {"choices":[{"delta":{"content":"a"}}]}\n')

test.each([1n, 1000n])('an order that pays %s times what its job can cost is held up no later', async (times) => {
  const folder = mkdtempSync(join(tmpdir(), 'lilypad-step-desk-'))
  const journal = Journal.open(folder)
  const order: JobOrder = {
    ...parties,
    ...{ moduleVersion, maxPrice: BigInt(maxWords) * perWord * times, inputsDigest: zeroBytes32, askHash: zeroBytes32 },
    ...{ lane: firstStepLane, nonce: 0, startBy: 0, deliverBy: 600, verification: 0, auditCommit: zeroBytes32 },
  }
  const ask = {
    ...{ provider: address, solver: address, moduleVersion, token: address },
    ...{ pricePerJob: 0n, pricePerSecond: 0n, pricePerInputUnit: 0n, pricePerOutputUnit: perWord },
    ...{ slots: 1, validUntil: 600, salt: zeroBytes32 },
  }
  const request = { order, signature, grant: null, ask: { ask, signature }, inputs }
  const orderHash = sha256('order')
  const reserved = { orderHash, previous: zeroBytes32, amount: order.maxPrice, outstanding: order.maxPrice }
  const reservation = { ...reserved, solver: address, payer: address, token: address, sequence: 1, reservedAt: 0 }
  journal.accept({
    orderHash,
    request,
    reservation: { reservation, signature },
    reservationHash: sha256('reservation'),
    now: 0,
  })
  const sent: SignedStep[] = []
  const desk = new StepDesk({
    ...{ domain: { chainId: 1, vault: address }, signer: createSigner(`0x${'1'.repeat(64)}`), journal, policy: {} },
    send: (frame) => frame.type === 'step' && sent.push(frame.step) > 0,
    ...{ onSilence: () => {}, onLate: () => {}, reach: () => {}, log: pino({ level: 'silent' }) },
  })
  desk.ask(orderHash)
  const run = desk.open(journal.getAcceptedJob(orderHash), { manifest }, Number.POSITIVE_INFINITY)
  if (!run) return expect.unreachable()
  const position = { attempt: 1, chunks: 1, bytes: 1, head: streamStart(orderHash, 1) }
  let words = 0
  let held: Promise<void> | undefined
  while (held === undefined && words < maxWords) {
    held = run.write(word, { position, write: () => undefined })
    words += 1
  }
  // Two steps of 64 words each, and the word with which that is more than two.
  expect(words).toBe(129)
  expect(sent.map(({ step }) => step.price)).toEqual([64n * perWord, 128n * perWord])
  desk.close(orderHash)
  await held
  journal.close()
  rmSync(folder, { recursive: true })
})
