import type { JobManifest } from '../src/job/job-manifest.ts'

const digest = `0x${'ab'.repeat(32)}` as const

/** A job manifest as a provider writes it. */
export const sampleJobManifest: JobManifest = {
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'out.txt', digest: { sha256: 'ab'.repeat(32) } }],
  predicateType: 'https://lilypad.tech/attestation/job/v1',
  predicate: {
    orderHash: digest,
    provider: `0x${'cd'.repeat(20)}`,
    module: { name: 'sample', version: '1.2.3', id: digest, manifestDigest: digest },
    program: { sha256: digest },
    executor: { name: 'wasm', isolation: { network: false, memoryBytes: 1000, user: 'nobody – äöü' } },
    inputsDigest: digest,
    outputs: [{ path: 'out.txt', bytes: 5, sha256: digest }],
    logs: {
      stdout: { bytes: 0, sha256: digest, truncated: false },
      stderr: { bytes: 9, sha256: digest, truncated: true },
    },
    outcome: { kind: 'exited', code: 0 },
    usage: { runMilliseconds: 12, meteredSeconds: 1, inputUnits: 3, outputUnits: 0, outputBytes: 5 },
    machine: { cpus: 2, architecture: 'x64' },
  },
}
