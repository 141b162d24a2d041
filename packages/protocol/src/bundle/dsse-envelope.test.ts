import { describe, expect, test } from 'vitest'
import { sampleJobManifest } from '../../test/sample-job-manifest.ts'
import { keccak256 } from '../crypto/hash.ts'
import { createSigner, findSigner } from '../crypto/signer.ts'
import { encodeJobManifest, JobManifest, jobManifestDigest, toSubjects } from '../job/job-manifest.ts'
import { toHex } from '../primitives/hex.ts'
import { DsseEnvelope, findDsseSigner, findManifestSigner, signManifest, toDsseEnvelope } from './dsse-envelope.ts'

const signer = createSigner(`0x${'22'.repeat(32)}`)
const signature = signManifest(sampleJobManifest, signer)
const envelope = toDsseEnvelope(sampleJobManifest, signature)

describe('a DSSE envelope', () => {
  test('carries the canonical manifest in the shape that other tools read', () => {
    expect(DsseEnvelope.parse(JSON.parse(JSON.stringify(envelope)))).toEqual(envelope)
    expect(envelope.payloadType).toBe('application/vnd.in-toto+json')
    const payload = Buffer.from(envelope.payload, 'base64').toString('utf8')
    expect(payload).toBe(encodeJobManifest(sampleJobManifest))
    expect(JobManifest.parse(JSON.parse(payload))).toEqual(sampleJobManifest)
    expect(envelope.signatures[0]?.keyid).toBe(`eip155:${sampleJobManifest.predicate.provider}`)
  })

  test('is signed over the pre-authentication encoding of DSSE', () => {
    const payload = Buffer.from(envelope.payload, 'base64')
    const type = 'application/vnd.in-toto+json'
    const encoding = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload])
    expect(findSigner(keccak256(encoding), signature)).toBe(signer.address)
    expect(toHex(Buffer.from(envelope.signatures[0]?.sig ?? '', 'base64'))).toBe(signature)
  })

  test('names its signer, from the envelope alone', () => {
    expect(findDsseSigner(envelope)).toBe(signer.address)
    expect(findManifestSigner(sampleJobManifest, signature)).toBe(signer.address)
  })

  test('names nobody or another when it was changed', () => {
    const changed = Buffer.from(envelope.payload, 'base64').toString('utf8').replace('"code":0', '"code":1')
    const [first] = envelope.signatures
    const strange = [
      { ...envelope, payload: Buffer.from(changed).toString('base64') },
      { ...envelope, signatures: [] },
      { ...envelope, signatures: [{ keyid: '', sig: '' }] },
      { ...envelope, signatures: [{ keyid: '', sig: `${first?.sig.slice(0, -4)}AAAA` }] },
    ]
    for (const other of strange) expect(findDsseSigner(other)).not.toBe(signer.address)
  })

  test('a payload or a signature that is not base64 names nobody, and had been a crash', () => {
    expect(findDsseSigner({ ...envelope, payload: 'a' })).toBeUndefined()
    expect(findDsseSigner({ ...envelope, signatures: [{ keyid: '', sig: '*' }] })).toBeUndefined()
  })
})

test('the digest of a manifest depends on all of it and not on the order of its members', () => {
  const digest = jobManifestDigest(sampleJobManifest)
  const turned = Object.fromEntries(Object.entries(sampleJobManifest).toReversed()) as JobManifest
  expect(jobManifestDigest(turned)).toBe(digest)
  const { predicate } = sampleJobManifest
  for (const changed of [
    { ...predicate, machine: { ...predicate.machine, cpus: 3 } },
    { ...predicate, executor: { ...predicate.executor, isolation: {} } },
    { ...predicate, outcome: { kind: 'exited', code: 1 } as const },
  ])
    expect(jobManifestDigest({ ...sampleJobManifest, predicate: changed })).not.toBe(digest)
})

test('the subjects of a statement are its outputs', () => {
  expect(toSubjects(sampleJobManifest.predicate.outputs)).toEqual(sampleJobManifest.subject)
})

test('a manifest with text that has no bytes is refused at the door, and had been a crash when hashed', () => {
  const { predicate } = sampleJobManifest
  const machine = { name: '\ud800' }
  expect(JobManifest.safeParse({ ...sampleJobManifest, predicate: { ...predicate, machine } }).success).toBe(false)
})
