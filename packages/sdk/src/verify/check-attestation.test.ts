import { JobBundle, sha256, type SignedAttestation } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  createContainerBundle,
  createSampleAttestation,
  createSampleBundle,
  findSampleOutput,
  sampleSigners,
} from '../../test/sample-bundle.ts'
import { verifyBundle } from './verify-bundle.ts'

installNativeCrypto()
const attestation = createSampleAttestation()
const genuine = createContainerBundle({ attestation })
const startedAt = 1_800_000_010
const finishedAt = 1_800_000_012

async function verify(bundle: JobBundle) {
  const { ok, checks } = await verifyBundle(bundle, { findOutput: findSampleOutput })
  const failed = checks.filter((check) => !check.ok).map(({ name }) => name)
  return { ok, failed, evidence: checks.find(({ name }) => name === 'attestation')?.evidence }
}

describe('the sandbox of a container job', () => {
  test('holds, also after a trip through JSON', async () => {
    const travelled = JobBundle.parse(JSON.parse(JSON.stringify(z.encode(JobBundle, genuine))))
    expect(await verify(travelled)).toEqual({
      ok: true,
      failed: [],
      evidence: '27 checks of the sandbox, run at 1799990000',
    })
  })

  test('is not judged without an attestation', async () => {
    const { attestation: _, ...without } = genuine
    expect(await verify(createContainerBundle())).toEqual({ ok: true, failed: [], evidence: 'not given' })
    expect(await verify(without)).toMatchObject({
      ok: true,
      evidence: expect.stringMatching(/^not given, the manifest names 0x/),
    })
    expect(await verify(createSampleBundle())).toEqual({ ok: true, failed: [], evidence: undefined })
  })

  test('may be attacked again between the start of the first run and the end of the last', async () => {
    const again = createSampleAttestation({ ranAt: finishedAt - 1 })
    expect(
      await verify(createContainerBundle({ attestation: again, receipt: { startedAt: finishedAt - 600 } })),
    ).toMatchObject({
      ok: true,
    })
  })

  const tampered = { ...attestation, report: { ...attestation.report, facts: { engine: 'docker 99' } } }
  const failed = createSampleAttestation({
    checks: attestation.report.checks.map((check) =>
      check.id === 'kernel' ? { ...check, result: 'failed', found: 'it was read' } : check,
    ),
  })
  test.each<[string, SignedAttestation, RegExp]>([
    ['that somebody changed', tampered, /not signed by its provider/],
    ['of a stranger', createSampleAttestation({}, { signer: sampleSigners.stranger }), /it is the attestation of/],
    [
      'signed by a stranger in the name of the provider',
      { ...createSampleAttestation({}, { signer: sampleSigners.stranger }), provider: sampleSigners.provider.address },
      /not signed by its provider/,
    ],
    ['that was over', createSampleAttestation({}, { validUntil: startedAt - 1 }), /it stood until/],
    ['of long ago', createSampleAttestation({ ranAt: startedAt - 8 * 86_400 }), /it stood until/],
    ['from after the job', createSampleAttestation({ ranAt: finishedAt + 121 }), /its preflight ran at/],
    ['with a failed check', failed, /required checks were not contained: kernel/],
    ['with nothing in it', createSampleAttestation({ checks: [] }), /required checks were not contained: capabilities/],
  ])('is not shown by an attestation %s', async (_, given, evidence) => {
    // Named and signed for by the provider of the job all the same.
    const found = await verify(createContainerBundle({ attestation: given }))
    expect(found).toMatchObject({ ok: false, failed: ['attestation'] })
    expect(found.evidence).toMatch(evidence)
  })

  test('is not shown by an attestation that the manifest does not name', async () => {
    const other = createSampleAttestation({ milliseconds: 1 })
    expect(await verify({ ...genuine, attestation: other })).toMatchObject({ failed: ['attestation'] })
    expect(await verify({ ...createContainerBundle(), attestation })).toMatchObject({
      failed: ['attestation'],
      evidence: expect.stringContaining('the manifest names none'),
    })
    const named = createContainerBundle({ predicate: { machine: { preflight: sha256('other') } } })
    expect(await verify({ ...named, attestation })).toMatchObject({ failed: ['attestation'] })
  })
})
