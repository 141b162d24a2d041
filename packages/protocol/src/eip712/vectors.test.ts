import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { accessType } from '../access/access.ts'
import { acknowledgementType } from '../acknowledgement/acknowledgement.ts'
import { askType } from '../ask/ask.ts'
import { nodeAttestationType } from '../attestation/node-attestation.ts'
import { pureCrypto, setCryptoBackend } from '../crypto/crypto-backend.ts'
import { installNativeCrypto } from '../crypto/native-crypto.ts'
import { createSigner, findSigner } from '../crypto/signer.ts'
import { sessionGrantType } from '../grant/session-grant.ts'
import { moduleId, moduleVersionId } from '../module/module-manifest.ts'
import { jobOrderType } from '../order/job-order.ts'
import { Address, Bytes32, concatBytes, type Hex, Signature, toHex, zeroBytes32 } from '../primitives/hex.ts'
import { receiptType } from '../receipt/receipt.ts'
import { reservationType } from '../reservation/reservation.ts'
import { settlementApprovalType } from '../settlement/settlement-approval.ts'
import { verdictType } from '../verdict/verdict.ts'
import { appendRecord, recordHash } from '../voucher/job-record.ts'
import { laneId, voucherType } from '../voucher/voucher.ts'
import { type Field, encodeType, encodeWord, hashTypedObject } from './typed-data.ts'

const Message = z.record(z.string(), z.string())
const Vectors = z.object({
  domain: z.object({ chainId: z.int(), verifyingContract: Address }),
  privateKey: Bytes32,
  address: Address,
  objects: z.record(
    z.string(),
    z.object({
      encodeType: z.string(),
      cases: z
        .array(
          z.object({ name: z.string(), message: Message, encoded: z.string(), digest: Bytes32, signature: Signature }),
        )
        .min(6),
    }),
  ),
  lanes: z.record(z.string(), z.object({ message: Message, laneId: Bytes32 })),
  lane: z.object({
    records: z.array(z.object({ message: Message, recordHash: Bytes32, recordsHash: Bytes32 })).min(3),
    voucher: Message,
    signature: Signature,
  }),
  modules: z.record(z.string(), z.object({ manifestDigest: Bytes32, moduleId: Bytes32, moduleVersion: Bytes32 })),
})
const file = new URL('../../../../contracts/test/vectors/eip712.json', import.meta.url)
const vectors = Vectors.parse(JSON.parse(readFileSync(file, 'utf8')))
const domain = { chainId: vectors.domain.chainId, vault: vectors.domain.verifyingContract }
const signedTypes = [
  askType,
  sessionGrantType,
  jobOrderType,
  reservationType,
  receiptType,
  voucherType,
  verdictType,
  accessType,
  acknowledgementType,
  settlementApprovalType,
  nodeAttestationType,
]

type Value = Hex | bigint
const read = (fields: readonly Field[], message: Record<string, string>): Record<string, Value> =>
  Object.fromEntries(
    fields.map(({ name, type }): [string, Value] => {
      const text = message[name] ?? ''
      return [name, type === 'address' || type === 'bytes32' ? (text as Hex) : BigInt(text)]
    }),
  )
// The vectors go up to the last bit of each type, beyond what our schemas let through, so they meet the encoder itself.
const asMessage = <T>(value: unknown) => value as T

describe.each(['pure', 'native'])('the shared vectors with the %s backend', (backend) => {
  beforeAll(() => {
    if (backend === 'native') expect(installNativeCrypto()).toBe('native')
    else setCryptoBackend(pureCrypto)
  })
  afterAll(() => setCryptoBackend(pureCrypto))

  test('cover every signed object', () => {
    expect(signedTypes.map((type) => type.primaryType).sort()).toEqual(Object.keys(vectors.objects).sort())
  })

  test.each(signedTypes)('$primaryType', (type) => {
    const signer = createSigner(vectors.privateKey)
    expect(signer.address).toBe(vectors.address)
    const { encodeType: expected, cases = [] } = vectors.objects[type.primaryType] ?? {}
    expect(encodeType(type)).toBe(expected)
    for (const { name, message, encoded, digest, signature } of cases) {
      const values = read(type.fields, message)
      const words = type.fields.map((field) => encodeWord(field.type, values[field.name] ?? 0n))
      expect(toHex(concatBytes(...words)), name).toBe(encoded)
      expect(hashTypedObject(type, domain, values), name).toBe(digest)
      expect(signer.sign(digest), name).toBe(signature)
      expect(findSigner(digest, signature), name).toBe(vectors.address)
    }
  })

  test('lane ids', () => {
    for (const { message, laneId: expected } of Object.values(vectors.lanes)) {
      const lane = { ...message, lane: BigInt(message.lane ?? '') }
      expect(laneId(asMessage<Parameters<typeof laneId>[0]>(lane))).toBe(expected)
    }
  })

  test('the running hash of a lane and its signed voucher', () => {
    let running = zeroBytes32
    for (const { message, recordHash: expected, recordsHash } of vectors.lane.records) {
      const record = asMessage<Parameters<typeof recordHash>[0]>({
        ...message,
        price: BigInt(message.price ?? ''),
        nonce: Number(message.nonce),
      })
      expect(recordHash(record)).toBe(expected)
      running = appendRecord(running, record)
      expect(running).toBe(recordsHash)
    }
    const voucher = asMessage<Parameters<typeof voucherType.hash>[1]>(read(voucherType.fields, vectors.lane.voucher))
    expect(voucher.recordsHash).toBe(running)
    expect(voucherType.sign(domain, voucher, createSigner(vectors.privateKey))).toBe(vectors.lane.signature)
    expect(voucherType.findSigner(domain, voucher, vectors.lane.signature)).toBe(vectors.address)
  })

  test('module and version ids', () => {
    for (const [name, expected] of Object.entries(vectors.modules)) {
      expect(moduleId(name)).toBe(expected.moduleId)
      expect(moduleVersionId(name, expected.manifestDigest)).toBe(expected.moduleVersion)
    }
  })
})
